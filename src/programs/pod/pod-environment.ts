import { isIP } from 'node:net';
import { fail } from '#domain/errors.ts';
import { POD } from '#domain/kubernetes/pod-layout.ts';

const NAME = /^[a-z][a-z0-9-]{0,39}$/;

/** What a pod is told of itself. */
export interface PodEnvironment {
  readonly cluster: string;
  /** Its pod's name, which is its member's. */
  readonly name: string;
  readonly ip: string;
  readonly namespace: string;
  /** The volume of its write-ahead log; undefined: the log lies with the data. */
  readonly walDir: string | undefined;
  /** How the first server is made (JSON); undefined: by the defaults. */
  readonly initdb: unknown;
}

/** Errors: `config.invalid` names the variable. */
export function readPodEnvironment(env: Readonly<Record<string, string | undefined>>): PodEnvironment {
  const of = (variable: string, isRight: (text: string) => boolean, what: string): string => {
    const text = env[variable] ?? '';
    return isRight(text)
      ? text
      : fail('config.invalid', `${variable} in the environment of the pod must be ${what}, not "${text}"`);
  };
  const isName = (text: string) => NAME.test(text);
  const aName = 'lower-case letters, digits and dashes, at most 40';
  return {
    cluster: of(POD.env.cluster, isName, aName),
    name: of(POD.env.podName, isName, aName),
    ip: of(POD.env.podIp, (text) => isIP(text) !== 0, 'its IP address (`status.podIP`)'),
    namespace: of(POD.env.namespace, (text) => text !== '', 'its namespace (`metadata.namespace`)'),
    walDir:
      env[POD.env.walDir] === undefined ? undefined : of(POD.env.walDir, (text) => text.startsWith('/'), 'an absolute path'),
    initdb: env[POD.env.initdb] === undefined ? undefined : json(env[POD.env.initdb]),
  };
}

/** Whoever reads the configuration of the member judges it. */
function json(text: string | undefined): unknown {
  try {
    return JSON.parse(text ?? '');
  } catch (error) {
    return fail(
      'config.invalid',
      `${POD.env.initdb} in the environment of the pod must be JSON: ${(error as Error).message}`,
      error,
    );
  }
}
