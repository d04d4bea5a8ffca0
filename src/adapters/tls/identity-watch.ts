import { stat } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { MemberName } from '#domain/member.ts';
import { checkIdentity } from './check-identity.ts';
import { proxyCaPath, readTlsFiles, type TlsIdentity, tlsPaths } from './tls-files.ts';

export interface IdentityWatchOptions {
  readonly folder: string;
  readonly name: MemberName;
  /** What is in use. */
  readonly current: TlsIdentity;
  /** Puts new files to use. When it rejects, it is called again with the next look. */
  apply(identity: TlsIdentity): Promise<void>;
  /** The files have changed and cannot be used; the old ones stay in use. Called once for each change. */
  onRefused(why: string): void;
  readonly signal: AbortSignal;
  /** Default 2000. */
  readonly everyMs?: number;
}

const EVERY_MS = 2000;

/**
 * Looks at a member's TLS files every two seconds: four calls of stat, no file is read before one of them has changed. A folder may be
 * a mount or a link that is swapped as a whole, of which a watch by the kernel would hear nothing. Never rejects.
 */
export async function watchIdentity(options: IdentityWatchOptions): Promise<void> {
  const { signal } = options;
  const wait = () => sleep(options.everyMs ?? EVERY_MS, undefined, { signal, ref: false }).catch(() => {});
  let current = options.current;
  let seen = '';
  let refused = '';
  while (!signal.aborted) {
    const now = await signatureOf(options.folder);
    if (now !== seen) {
      const outcome = await takeUp(options, current);
      if (outcome.kind === 'used') current = outcome.identity;
      // Somebody may be writing at this moment: only what is still the same with the next look is refused.
      if (outcome.kind === 'refused' && refused === now) options.onRefused(outcome.why);
      const settled = outcome.kind === 'used' || (outcome.kind === 'refused' && refused === now);
      refused = outcome.kind === 'refused' ? now : '';
      // What was read belongs to `now` only if nothing has changed since.
      if (settled && (await signatureOf(options.folder)) === now) seen = now;
    }
    await wait();
  }
}

type Outcome =
  | { readonly kind: 'used'; readonly identity: TlsIdentity }
  | { readonly kind: 'refused'; readonly why: string }
  | { readonly kind: 'failed' };

async function takeUp(options: IdentityWatchOptions, current: TlsIdentity): Promise<Outcome> {
  let identity: TlsIdentity;
  try {
    identity = await readTlsFiles(options.folder);
    if (same(identity, current)) return { kind: 'used', identity };
    checkIdentity(identity, options.name);
  } catch (error) {
    return { kind: 'refused', why: (error as Error).message };
  }
  try {
    await options.apply(identity);
    return { kind: 'used', identity };
  } catch {
    return { kind: 'failed' };
  }
}

function same(a: TlsIdentity, b: TlsIdentity): boolean {
  return a.ca === b.ca && a.certificate === b.certificate && a.key === b.key && a.proxyCa === b.proxyCa;
}

async function signatureOf(folder: string): Promise<string> {
  const found = await Promise.all(
    [...Object.values(tlsPaths(folder)), proxyCaPath(folder)].map((path) =>
      stat(path).then(
        ({ ino, size, mtimeMs }) => `${ino}:${size}:${mtimeMs}`,
        () => 'missing',
      ),
    ),
  );
  return found.join(' ');
}
