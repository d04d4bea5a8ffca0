import { type ProxyIdentity, proxyTlsPaths, readProxyTls } from '#adapters/tls/proxy-files.ts';
import type { ProxyLog, ServerTls } from './proxy.ts';
import { watchFiles } from './watch-files.ts';

/** What a proxy shows the agents and the servers of its cluster, followed as its files are renewed. */
export class FollowedIdentity {
  readonly #stopping = new AbortController();
  #current: ProxyIdentity;

  private constructor(folder: string, current: ProxyIdentity, log: ProxyLog) {
    this.#current = current;
    void watchFiles(
      () => Object.values(proxyTlsPaths(folder)),
      () =>
        void readProxyTls(folder).then(
          (identity) => {
            this.#current = identity;
            log.info({ part: 'tls' }, 'the renewed certificates are in use');
          },
          (error: Error) => log.error({ part: 'tls' }, `the certificates in use stay: ${error.message}`),
        ),
      this.#stopping.signal,
    );
  }

  /** Errors: `tls.invalid`. */
  static async read(folder: string, log: ProxyLog): Promise<FollowedIdentity> {
    return new FollowedIdentity(folder, await readProxyTls(folder), log);
  }

  get agents(): ProxyIdentity['agents'] {
    return this.#current.agents;
  }

  get serverTls(): ServerTls {
    const { agents, servers } = this.#current;
    return { ca: agents.ca, certificate: servers.certificate, key: servers.key };
  }

  close(): void {
    this.#stopping.abort();
  }
}
