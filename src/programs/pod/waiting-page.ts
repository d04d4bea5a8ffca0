import { createOpenServer, type OpenServer } from '#adapters/http/open-server.ts';
import { POD } from '#domain/kubernetes/pod-layout.ts';

/**
 * What a member's container waits for before its agent can start, at the port of the agent's own probes. It counts as alive: ending the
 * container would not bring about what it waits for.
 */
export class WaitingPage {
  readonly #server: OpenServer;
  #why = '';

  constructor(listen: { readonly host: string; readonly port: number }, onError: (error: unknown) => void) {
    const page = (path: string, status: number) =>
      ({ method: 'GET', path, public: true, handle: async () => ({ status, text: `${this.#why}\n` }) }) as const;
    const [live] = POD.memberProbes.live.split('?');
    const [ready] = POD.memberProbes.ready.split('?');
    this.#server = createOpenServer({
      ...listen,
      realm: 'Matriarch',
      closed: { status: 403, text: 'not public' },
      onError,
      routes: [page(live ?? '', 200), page(ready ?? '', 503), page(POD.waitingPath, 200)],
    });
  }

  /** Errors: `port.taken`. */
  async open(): Promise<{ readonly port: number }> {
    return this.#server.start();
  }

  tell(why: string): void {
    this.#why = why;
  }

  close(): Promise<void> {
    return this.#server.stop();
  }
}
