import type { Socket } from 'node:net';
import type { RoleFacts } from '#domain/ports/roles.ts';
import { LineLink } from './line-link.ts';
import { type AgentView, type ProxyMessage, readProxyMessage } from './messages.ts';

const MAX_LINKS = 64;
/** Of all proxies together. Whoever asks beyond is told so at once, and asks another agent. */
const MAX_LOOKUPS = 128;

export interface ProxyLinksOptions {
  /** What is to be said now. `isLocal`: to who came by the Unix socket. */
  view(isLocal: boolean): AgentView;
  /** Null: no such role. Rejects when the server does not answer in time. */
  lookup(role: string, database: string): Promise<RoleFacts | null>;
}

interface Link {
  readonly line: LineLink;
  readonly isLocal: boolean;
  told: string;
}

interface Hold {
  readonly id: number;
  readonly waiting: Set<Link>;
  readonly done: PromiseWithResolvers<void>;
}

/** The agent's end of the links to proxies. */
export class ProxyLinks {
  readonly #options: ProxyLinksOptions;
  readonly #links = new Set<Link>();
  #lookups = 0;
  #holds = 0;
  #hold: Hold | undefined;

  constructor(options: ProxyLinksOptions) {
    this.#options = options;
  }

  get count(): number {
    return this.#links.size;
  }

  /** For `onProxy` of the API server. */
  accept(socket: Socket, head: Buffer, isLocal: boolean): void {
    if (this.#links.size >= MAX_LINKS) return void socket.destroy();
    socket.setTimeout(0);
    socket.setNoDelay(true);
    const line = new LineLink({
      socket,
      upgrading: false,
      beat: () => this.#options.view(isLocal),
      onMessage: (json) => this.#hear(link, json),
      onClosed: () => {
        this.#links.delete(link);
        this.#drained(link);
      },
    });
    const link: Link = { line, isLocal, told: '' };
    this.#links.add(link);
    this.#tell(link);
    if (this.#hold !== undefined) this.#ask(link, this.#hold);
    line.receive(head);
  }

  /** Something may have changed: those whose view has are told. */
  changed(): void {
    for (const link of this.#links) this.#tell(link);
  }

  /**
   * Asks every proxy to start nothing more and to let end what runs. Resolves when each has said so or is gone, `signal` aborts, or the
   * time is up; then with the number of those that had not. Links that are made meanwhile are asked too.
   */
  async hold(timeoutMs: number, signal: AbortSignal): Promise<number> {
    if (this.#links.size === 0) return 0;
    const hold: Hold = { id: ++this.#holds, waiting: new Set(), done: Promise.withResolvers<void>() };
    this.#hold = hold;
    const over = () => hold.done.resolve();
    const timer = setTimeout(over, timeoutMs);
    signal.addEventListener('abort', over, { once: true });
    for (const link of this.#links) this.#ask(link, hold);
    await hold.done.promise;
    clearTimeout(timer);
    signal.removeEventListener('abort', over);
    if (this.#hold === hold) this.#hold = undefined;
    return hold.waiting.size;
  }

  close(): void {
    for (const { line } of this.#links) line.close();
  }

  #tell(link: Link): void {
    const view = this.#options.view(link.isLocal);
    const text = JSON.stringify(view);
    if (text === link.told) return;
    link.told = text;
    link.line.send(view);
  }

  #ask(link: Link, hold: Hold): void {
    hold.waiting.add(link);
    link.line.send({ kind: 'hold', id: hold.id });
  }

  #drained(link: Link): void {
    const hold = this.#hold;
    if (hold?.waiting.delete(link) === true && hold.waiting.size === 0) hold.done.resolve();
  }

  #hear(link: Link, json: unknown): void {
    const message = readProxyMessage(json);
    if (message?.kind === 'lookup') void this.#answer(link, message);
    if (message?.kind === 'drained' && message.id === this.#hold?.id) this.#drained(link);
  }

  async #answer({ line }: Link, { id, role, database }: Extract<ProxyMessage, { kind: 'lookup' }>): Promise<void> {
    if (this.#lookups >= MAX_LOOKUPS) return void line.send({ kind: 'role', id, error: 'too many questions at once' });
    this.#lookups += 1;
    try {
      line.send({ kind: 'role', id, facts: await this.#options.lookup(role, database) });
    } catch (error) {
      line.send({ kind: 'role', id, error: (error as Error).message });
    } finally {
      this.#lookups -= 1;
    }
  }
}
