import { stat } from 'node:fs/promises';
import { PROXY_LOGIN_NAME, PROXY_NAME } from '#domain/proxy-names.ts';
import { checkIdentity, checkPair } from './check-identity.ts';
import { type ProxyIdentity, proxyTlsPaths, readProxyTls } from './proxy-files.ts';

const EVERY_MS = 2000;

/**
 * What a proxy lives by: as it was at its start, then whatever sound files take its place in the folder. Looked at every two seconds; the
 * last word on every dial is `current`.
 */
export class ProxyIdentityFiles {
  readonly #folder: string;
  readonly #log: (line: string) => void;
  readonly #timer: NodeJS.Timeout;
  #current: ProxyIdentity;
  #seen: string;
  #refused = '';

  private constructor(folder: string, log: (line: string) => void, current: ProxyIdentity, seen: string, everyMs: number) {
    this.#folder = folder;
    this.#log = log;
    this.#current = current;
    this.#seen = seen;
    this.#timer = setInterval(() => void this.#look(), everyMs);
  }

  /** `log`: of changes, and of files that are refused; never a secret. Errors: `tls.invalid`. */
  static async open(folder: string, log: (line: string) => void, everyMs = EVERY_MS): Promise<ProxyIdentityFiles> {
    const seen = await signatureOf(folder);
    return new ProxyIdentityFiles(folder, log, await readSound(folder), seen, everyMs);
  }

  get current(): ProxyIdentity {
    return this.#current;
  }

  close(): void {
    clearInterval(this.#timer);
  }

  async #look(): Promise<void> {
    const now = await signatureOf(this.#folder);
    if (now === this.#seen) return;
    try {
      this.#current = await readSound(this.#folder);
      this.#seen = now;
      this.#log(`uses the new files in ${this.#folder}`);
    } catch (error) {
      // Somebody may be writing at this moment: only what is still the same with the next look is refused.
      if (this.#refused === now) {
        this.#seen = now;
        this.#log(`the files in ${this.#folder} are refused, the old ones stay in use: ${(error as Error).message}`);
      }
      this.#refused = now;
    }
  }
}

async function readSound(folder: string): Promise<ProxyIdentity> {
  const identity = await readProxyTls(folder);
  checkIdentity(identity.agents, PROXY_NAME, new Date(), 'proxy');
  // Who signs the logins only the servers have to know.
  checkPair(identity.servers, 'server', PROXY_LOGIN_NAME);
  return identity;
}

async function signatureOf(folder: string): Promise<string> {
  const found = await Promise.all(
    Object.values(proxyTlsPaths(folder)).map((path) =>
      stat(path).then(
        ({ ino, size, mtimeMs }) => `${ino}:${size}:${mtimeMs}`,
        () => 'missing',
      ),
    ),
  );
  return found.join(' ');
}
