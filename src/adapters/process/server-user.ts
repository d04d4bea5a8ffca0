import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { fail } from '#domain/errors.ts';

export interface ServerUser {
  readonly user: string;
  readonly uid: number;
  readonly gid: number;
}

const MADE_USER = 'matriarch';
const run = promisify(execFile);

/**
 * The unprivileged user that PostgreSQL runs as: `postgres`, which its packages make, else `matriarch`, made when it is missing. Null
 * for an ordinary user, as which everything runs. Errors: `user.missing`.
 */
export async function chooseServerUser(): Promise<ServerUser | null> {
  if (process.getuid?.() !== 0) return null;
  const present = (await findUser('postgres')) ?? (await findUser(MADE_USER));
  if (present !== undefined) return present;
  try {
    await run('useradd', ['--system', '--user-group', '--no-create-home', '--shell', '/usr/sbin/nologin', MADE_USER]);
  } catch (error) {
    // Two members that start at the same time: the other one has made it.
    const made = await findUser(MADE_USER);
    return made ?? fail('user.missing', `useradd: ${(error as Error).message}`, error);
  }
  return (await findUser(MADE_USER)) ?? fail('user.missing', `useradd made no user ${MADE_USER}`);
}

/** By the machine's name service. Undefined for a user that does not exist, or is root by another name. */
export async function findUser(name: string): Promise<ServerUser | undefined> {
  try {
    const { stdout } = await run('getent', ['passwd', '--', name]);
    const [user, , uid, gid] = stdout.trim().split(':');
    return user === name && Number(uid) > 0 ? { user, uid: Number(uid), gid: Number(gid) } : undefined;
  } catch {
    return undefined;
  }
}
