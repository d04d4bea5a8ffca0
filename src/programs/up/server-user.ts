import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import { fail } from '#domain/errors.ts';

const run = promisify(execFile);

/** The unprivileged user that PostgreSQL runs as. */
export interface ServerUser {
  readonly user: string;
  readonly uid: number;
  readonly gid: number;
}

/**
 * Undefined for an ordinary user, who runs the servers too. For root: `postgres` if the machine has it (its package brings it), else
 * `matriarch`, which is made. Errors: `user.missing`.
 */
export async function chooseServerUser(): Promise<ServerUser | undefined> {
  if (process.getuid?.() !== 0) return undefined;
  const found = (await findUser('postgres')) ?? (await findUser('matriarch'));
  if (found !== undefined) return found;
  try {
    await run('useradd', ['--system', '--no-create-home', '--shell', '/usr/sbin/nologin', 'matriarch'], { timeout: 10_000 });
  } catch (error) {
    fail('user.missing', `the user matriarch could not be made: ${(error as Error).message.trim()}`, error);
  }
  return (await findUser('matriarch')) ?? fail('user.missing', 'useradd made the user matriarch, and nobody can find it');
}

/** By `getent`, which also knows the users of a directory service; by /etc/passwd where there is none. */
async function findUser(name: string): Promise<ServerUser | undefined> {
  const lines = await run('getent', ['passwd', name], { timeout: 10_000 }).then(
    ({ stdout }) => stdout,
    (error: { code?: unknown }) => (error.code === 2 ? '' : readFile('/etc/passwd', 'utf8')),
  );
  const fields = lines
    .split('\n')
    .map((line) => line.split(':'))
    .find(([user]) => user === name);
  const [uid, gid] = [Number(fields?.[2]), Number(fields?.[3])];
  return Number.isInteger(uid) && Number.isInteger(gid) && uid > 0 ? { user: name, uid, gid } : undefined;
}

/**
 * Can this user enter the folder? Asked of the operating system as that user, since modes, ACLs and mounts all have a say. Throws
 * `folder.unreachable` with the folder on the way that is closed.
 */
export async function checkReachable(folder: string, { user, uid, gid }: ServerUser): Promise<void> {
  let closed: string | undefined;
  for (let current = folder; ; current = dirname(current)) {
    const enters = await run('/bin/sh', ['-c', 'cd -- "$1"', 'sh', current], { uid, gid, cwd: '/', timeout: 10_000 }).then(
      () => true,
      () => false,
    );
    if (enters) break;
    closed = current;
    if (current === '/') break;
  }
  if (closed !== undefined)
    fail('folder.unreachable', `the user ${user} may not enter ${closed}, which is on the way to ${folder}`);
}
