import type { KubeObject } from '#domain/kubernetes/kube-object.ts';
import { objectNames } from '#domain/kubernetes/object-names.ts';
import { type AuthorityChange, STAGES } from './authority-rotation.ts';
import type { ClusterSecrets, KeyPair } from './cluster-secrets.ts';
import { fieldsOf, find } from './member-facts.ts';

/** What Secrets already say; what is missing or half there is left out. */
export type KnownSecrets = Omit<{ readonly [Key in keyof ClusterSecrets]?: ClusterSecrets[Key] | undefined }, 'proxy'> & {
  readonly proxy: { readonly [Key in keyof ClusterSecrets['proxy']]?: KeyPair | undefined };
};

/** The reverse of `secretObjects`, for as many of the Secrets as there are. */
export function readSecrets(cluster: string, roles: readonly string[], secrets: readonly KubeObject[]): KnownSecrets {
  const names = objectNames(cluster);
  const value = (secret: string, key: string): string | undefined => {
    const text = fieldsOf(find(secrets, 'Secret', secret)?.data)[key];
    return typeof text === 'string' && text !== '' ? Buffer.from(text, 'base64').toString() : undefined;
  };
  const login = (secret: string) => {
    const [name, password] = [value(secret, 'username'), value(secret, 'password')];
    return name === undefined || password === undefined ? undefined : { name, password };
  };
  const pair = (secret: string, file: string): KeyPair | undefined => {
    const [certificate, key] = [value(secret, `${file}.crt`), value(secret, `${file}.key`)];
    return certificate === undefined || key === undefined ? undefined : { certificate, key };
  };
  const found = <Value>(keys: readonly string[], read: (key: string) => Value | undefined) =>
    Object.fromEntries(
      keys.flatMap((key) => {
        const one = read(key);
        return one === undefined ? [] : [[key, one] as const];
      }),
    );
  const certified = Object.keys(fieldsOf(find(secrets, 'Secret', names.memberTlsSecret)?.data)).flatMap((key) =>
    key.startsWith(`${cluster}-`) && key.endsWith('.crt') ? [key.slice(0, -'.crt'.length)] : [],
  );
  return {
    superuser: login(names.superuserSecret),
    replication: login(names.replicationSecret),
    agent: login(names.agentSecret),
    roles: found(roles, (role) => value(names.roleSecret(role), 'password')),
    trusted: value(names.memberTlsSecret, 'ca.crt'),
    authority: pair(names.authoritySecret, 'ca'),
    rotation: Number(value(names.authoritySecret, 'rotation') ?? 0),
    change: changeOf(pair(names.authoritySecret, 'next-ca'), (key) => value(names.authoritySecret, key)),
    proxyAuthority: pair(names.authoritySecret, 'proxy-ca'),
    members: found(certified, (member) => pair(names.memberTlsSecret, member)),
    proxy: {
      agents: pair(names.proxyTlsSecret, 'proxy'),
      servers: pair(names.proxyTlsSecret, 'server'),
      listener: pair(names.proxyTlsSecret, 'listener'),
    },
  };
}

function changeOf(next: KeyPair | undefined, value: (key: string) => string | undefined): AuthorityChange | null {
  const [named, since] = [value('stage'), Number(value('since') ?? Number.NaN)];
  const stage = STAGES.find((one) => one === named);
  return next === undefined || stage === undefined || Number.isNaN(since) ? null : { stage, next, since };
}
