import { mkdirSync, rmSync } from 'node:fs';
import { connect, type Server } from 'node:net';
import { dirname } from 'node:path';
import { fail } from '#domain/errors.ts';
import { toDiskError } from '../files/disk-errors.ts';
import { keepOwner } from '../files/keep-owner.ts';

/** sockaddr_un holds 108 bytes with the final zero (unix(7)). */
const MAX_PATH_BYTES = 107;

/** Throws `folder.pathTooLong`. */
export function checkSocketPath(path: string): void {
  const bytes = Buffer.byteLength(path);
  if (bytes > MAX_PATH_BYTES) fail('folder.pathTooLong', `${path} has ${bytes} bytes`);
}

/**
 * Listens on a Unix socket that only the owner of its folder can connect to. What a process that was killed left behind is
 * replaced; a socket that somebody serves is not. Errors: `folder.pathTooLong`, `port.taken`, `disk.*`.
 */
export async function listenOnSocket(server: Server, path: string): Promise<void> {
  checkSocketPath(path);
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  } catch (error) {
    throw toDiskError(error, dirname(path));
  }
  try {
    await listen(server, path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw toDiskError(error, path);
    if (await isServed(path)) fail('port.taken', `${path} is served by another process`);
    rmSync(path, { force: true });
    await listen(server, path).catch((again) => fail('port.taken', `${path}: ${again.message}`, again));
  }
  keepOwner(path);
}

function listen(server: Server, path: string): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once('error', reject);
  // The socket is made inside `listen`, and with this mask nobody else could connect to it for even a moment.
  const mask = process.umask(0o177);
  try {
    server.listen(path, () => {
      server.off('error', reject);
      resolve();
    });
  } finally {
    process.umask(mask);
  }
  return promise.catch((error) => {
    server.off('error', reject);
    throw error;
  });
}

function isServed(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code !== 'ECONNREFUSED' && error.code !== 'ENOENT'));
  });
}
