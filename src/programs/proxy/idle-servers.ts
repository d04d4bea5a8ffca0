import type { ClientSession } from './client-session.ts';
import type { ServerConnection } from './server-connection.ts';

/** How deep in the pile a connection is looked for that already is in the state of the session. */
const LOOK_DEEP = 8;

/** Connections that nobody has borrowed; the one used last on top, so that those nobody needs grow old. */
export class IdleServers {
  readonly #pile: ServerConnection[] = [];

  get size(): number {
    return this.#pile.length;
  }

  get oldest(): ServerConnection | undefined {
    return this.#pile[0];
  }

  has(server: ServerConnection): boolean {
    return this.#pile.includes(server);
  }

  all(): readonly ServerConnection[] {
    return [...this.#pile];
  }

  add(server: ServerConnection): void {
    this.#pile.push(server);
  }

  remove(server: ServerConnection): void {
    const at = this.#pile.indexOf(server);
    if (at >= 0) this.#pile.splice(at, 1);
  }

  takeLast(): ServerConnection | undefined {
    return this.#pile.pop();
  }

  /** The one that the session had last, or one in its state, or the one used last; null when none of its startup is free. */
  take(session: ClientSession): ServerConnection | null {
    const { signature, state } = session;
    const pile = this.#pile;
    let best = -1;
    for (let at = pile.length - 1; at >= 0; at--) {
      const server = pile[at] as ServerConnection;
      if (server.signature !== signature) continue;
      if (server.lastBorrower === session) {
        best = at;
        break;
      }
      if (best < 0 || (server.session === state && pile[best]?.session !== state)) best = at;
      if (pile.length - at > LOOK_DEEP) break;
    }
    if (best < 0) return null;
    const server = pile[best] as ServerConnection;
    if (best === pile.length - 1) pile.pop();
    else pile.splice(best, 1);
    return server;
  }
}
