import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

const PROGRAM = '/usr/sbin/haproxy';
const EXAMPLE = join(import.meta.dirname, '..', '..', 'examples', 'haproxy.cfg');

export interface ProxiedMember {
  readonly name: string;
  readonly port: number;
  readonly checkPort: number;
  /** Its check goes by HTTPS: the authority's certificate. */
  readonly caFile?: string;
}

/** Debian's HAProxy with the example of the documentation, on this machine's ports. */
export class Haproxy {
  readonly #child: ChildProcess;
  #said = '';

  private constructor(child: ChildProcess) {
    this.#child = child;
    child.stderr?.on('data', (chunk: Buffer) => {
      this.#said = `${this.#said}${chunk}`.slice(-4000);
    });
  }

  static async start(folder: string, members: readonly ProxiedMember[], primary: number, replicas: number): Promise<Haproxy> {
    if (!existsSync(PROGRAM)) throw new Error(`${PROGRAM} is missing: apt-get install haproxy`);
    const file = join(folder, 'haproxy.cfg');
    await writeFile(file, rewrite(await readFile(EXAMPLE, 'utf8'), members, primary, replicas));
    return new Haproxy(spawn(PROGRAM, ['-db', '-f', file], { stdio: ['ignore', 'ignore', 'pipe'] }));
  }

  /** The last of what it said, for a test that fails. */
  get said(): string {
    return this.#said;
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await ended;
  }
}

/** The example with other addresses, and nothing else changed. Every line that names one must be there. */
function rewrite(example: string, members: readonly ProxiedMember[], primary: number, replicas: number): string {
  const replaceAll = (text: string, from: string, to: string) => {
    if (!text.includes(from)) throw new Error(`examples/haproxy.cfg has no "${from}"`);
    return text.replaceAll(from, to);
  };
  const bound = replaceAll(replaceAll(example, '*:5000', `127.0.0.1:${primary}`), '*:5001', `127.0.0.1:${replicas}`);
  return members.reduce((text, { name, port, checkPort, caFile }, index) => {
    const line = (address: string, check: number) => `server ${name} ${address} maxconn 300 check port ${check}`;
    const secure = caFile === undefined ? '' : ` check-ssl verify required ca-file ${caFile}`;
    return replaceAll(text, line(`10.0.0.${index + 1}:5432`, 8008), `${line(`127.0.0.1:${port}`, checkPort)}${secure}`);
  }, bound);
}
