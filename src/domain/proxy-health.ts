/** What a proxy does for a client that comes now. */
export const PROXY_STATES = ['serving', 'holding', 'withoutPrimary', 'draining'] as const;

/** The answer of a proxy to `GET /health`. */
export interface ProxyHealth {
  readonly state: (typeof PROXY_STATES)[number];
  readonly pid: number;
  readonly epoch: number;
  /** The name of the server; null: none is known. */
  readonly primary: string | null;
  /** Logged in at this moment. */
  readonly clients: number;
  /** Of them: waiting for a server connection. */
  readonly waiting: number;
  /** Server connections. */
  readonly servers: number;
}
