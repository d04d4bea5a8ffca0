import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { entryFile } from '#adapters/process/entry-file.ts';
import type { ClusterConfig } from '#domain/config/cluster-config.ts';
import type { Secrets } from '#domain/config/cluster-description.ts';
import type { MemberConfig } from '#domain/config/member-config.ts';
import { type ErrorCode, MatriarchError } from '#domain/errors.ts';

type Question =
  | { readonly kind: 'member' | 'secrets' | 'declared'; readonly text: string; readonly place: string }
  | { readonly kind: 'cluster'; readonly value: unknown; readonly place: string };
export type CheckRequest = Question & { readonly id: number };
export type CheckAnswer =
  | { readonly id: number; readonly value: unknown }
  | { readonly id: number; readonly error: { readonly code: ErrorCode; readonly message: string } };

interface Waiting {
  resolve(value: unknown): void;
  reject(error: Error): void;
}

const TIMEOUT_MS = 10_000;
/** At its start an agent asks several times in a row; after that, not for weeks. */
const IDLE_MS = 2000;
/** More questions than this at once are none of people's. */
const MAX_WAITING = 100;

/** Checks configurations in a child process, which is started when it is needed and ends soon after. */
export class ConfigChecker {
  readonly #waiting = new Map<number, Waiting>();
  #child: ChildProcessByStdio<Writable, Readable, null> | undefined;
  #idle: NodeJS.Timeout | undefined;
  #nextId = 1;

  /** The file of a member. Errors: `config.malformed`, `config.invalid`. */
  async member(text: string, place: string): Promise<MemberConfig> {
    return (await this.#ask({ kind: 'member', text, place })) as MemberConfig;
  }

  /** The file of the passwords. Errors: `config.malformed`, `config.invalid`; no message holds a password. */
  async secrets(text: string, place: string): Promise<Secrets> {
    return (await this.#ask({ kind: 'secrets', text, place })) as Secrets;
  }

  /** The dynamic configuration, with defaults filled in. Errors: `config.invalid`, `config.owned`. */
  async cluster(value: unknown, place: string): Promise<ClusterConfig> {
    return (await this.#ask({ kind: 'cluster', value, place })) as ClusterConfig;
  }

  /** The dynamic configuration as somebody declares it in a file. Errors: `config.malformed`, `config.invalid`, `config.owned`. */
  async declared(text: string, place: string): Promise<ClusterConfig> {
    return (await this.#ask({ kind: 'declared', text, place })) as ClusterConfig;
  }

  /** Ends the child. Questions that are open are refused. */
  close(): void {
    clearTimeout(this.#idle);
    this.#lose('the agent ends');
  }

  async #ask(question: Question): Promise<unknown> {
    if (this.#waiting.size >= MAX_WAITING) throw new MatriarchError('config.notChecked', 'too many checks at once');
    const id = this.#nextId++;
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    this.#waiting.set(id, { resolve, reject });
    clearTimeout(this.#idle);
    const timer = setTimeout(() => this.#lose(`${question.place}: no answer within ${TIMEOUT_MS} ms`), TIMEOUT_MS);
    try {
      this.#running().stdin.write(`${JSON.stringify({ ...question, id })}\n`);
      return await promise;
    } finally {
      clearTimeout(timer);
      this.#waiting.delete(id);
      if (this.#waiting.size === 0) this.#idle = setTimeout(() => this.#dismiss(), IDLE_MS).unref();
    }
  }

  #running(): ChildProcessByStdio<Writable, Readable, null> {
    if (this.#child !== undefined) return this.#child;
    const child = spawn(
      process.execPath,
      ['--disable-warning=ExperimentalWarning', fileURLToPath(entryFile(import.meta.url, 'check-main'))],
      {
        stdio: ['pipe', 'pipe', 'inherit'],
      },
    );
    this.#child = child;
    const ended = (why: string) => {
      if (this.#child !== child) return;
      this.#child = undefined;
      this.#refuseAll(why);
    };
    child.once('error', (error) => ended(error.message));
    child.once('exit', (code, signal) => ended(`the checking process ended with ${signal ?? code}`));
    child.stdin.on('error', () => {});
    createInterface({ input: child.stdout }).on('line', (line) => this.#settle(JSON.parse(line) as CheckAnswer));
    return child;
  }

  #dismiss(): void {
    const child = this.#child;
    this.#child = undefined;
    child?.stdin.end();
  }

  #settle(answer: CheckAnswer): void {
    const waiting = this.#waiting.get(answer.id);
    if ('error' in answer) waiting?.reject(new MatriarchError(answer.error.code, answer.error.message));
    else waiting?.resolve(answer.value);
  }

  #lose(why: string): void {
    const child = this.#child;
    this.#child = undefined;
    child?.kill('SIGKILL');
    this.#refuseAll(why);
  }

  #refuseAll(why: string): void {
    for (const { reject } of this.#waiting.values()) reject(new MatriarchError('config.notChecked', why));
  }
}
