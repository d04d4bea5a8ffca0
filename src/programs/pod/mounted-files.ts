import { chmod, mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { writeAtomically } from '#adapters/files/write-atomically.ts';
import { proxyCaPath, tlsPaths } from '#adapters/tls/tls-files.ts';
import type { Secrets } from '#domain/config/cluster-description.ts';
import { fail } from '#domain/errors.ts';
import type { MemberName } from '#domain/member.ts';
import type { PodPaths } from './pod-paths.ts';

const LOGINS = ['superuser', 'agent', 'replication'] as const;

/** The files of the mounts that `copyMounts` reads: whoever follows them looks at these. */
export function mountedFiles({ mountedTls, mountedSecrets }: PodPaths, name: MemberName): readonly string[] {
  return [
    join(mountedTls, 'ca.crt'),
    join(mountedTls, 'proxy-ca.crt'),
    join(mountedTls, `${name}.crt`),
    join(mountedTls, `${name}.key`),
    ...LOGINS.flatMap((login) => [join(mountedSecrets, login, 'username'), join(mountedSecrets, login, 'password')]),
  ];
}

/**
 * Makes of what is mounted what an agent reads. Kubernetes mounts Secrets readable for the group, which PostgreSQL refuses in a key, and
 * the mount holds the keys of every member, of which this one needs its own. Files that are the same stay untouched. Errors:
 * `config.unreadable`, `config.invalid`, `disk.…`.
 */
export async function copyMounts(paths: PodPaths, name: MemberName): Promise<void> {
  await privateFolder(paths.runDir);
  await privateFolder(paths.tls);
  const { ca, certificate, key } = tlsPaths(paths.tls);
  const from = (file: string) => join(paths.mountedTls, file);
  await keepSame(ca, await read(from('ca.crt')));
  await keepSame(proxyCaPath(paths.tls), await read(from('proxy-ca.crt')));
  // Key last: whoever sees a new key sees its certificate.
  await keepSame(certificate, await read(from(`${name}.crt`)));
  await keepSame(key, await read(from(`${name}.key`)));
  await keepSame(paths.secrets, `${JSON.stringify(await readSecrets(paths.mountedSecrets))}\n`);
}

async function readSecrets(folder: string): Promise<Secrets> {
  const logins = await Promise.all(
    LOGINS.map(async (login) => {
      const name = await line(join(folder, login, 'username'));
      return [login, { name, password: await line(join(folder, login, 'password')) }] as const;
    }),
  );
  return { version: 1, ...(Object.fromEntries(logins) as Omit<Secrets, 'version'>) };
}

/** Whoever makes a Secret by hand often leaves a new line behind. */
async function line(path: string): Promise<string> {
  const text = (await read(path)).replace(/\r?\n$/, '');
  return text === '' || /[\r\n\0]/.test(text) ? fail('config.invalid', `${path} must hold one line`) : text;
}

async function privateFolder(path: string): Promise<void> {
  await mkdir(path, { recursive: true, mode: 0o700 });
  // The mount of a volume belongs to root, and to the group of the pod.
  await chmod(path, 0o700).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPERM') throw error;
  });
}

async function keepSame(path: string, text: string): Promise<void> {
  const before = await readFile(path, 'utf8').catch(() => undefined);
  if (before !== text) await writeAtomically(path, text);
}

async function read(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    return fail('config.unreadable', (error as Error).message, error);
  }
}
