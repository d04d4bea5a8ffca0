/** The protocol's timings in milliseconds. `fenceMs × 1.1 ≤ suspectAfterMs < leaseMs` is validated with the configuration. */
export interface Timings {
  /** How often a leader asks for confirmations. */
  readonly heartbeatMs: number;
  /** How long a confirmation counts, from the moment the heartbeat was sent. */
  readonly fenceMs: number;
  /** Silence of both heartbeat and walreceiver after which a member may promise to another. */
  readonly suspectAfterMs: number;
  /** Without proof for so long the server is ended; in asynchronous mode nobody claims sooner. */
  readonly leaseMs: number;
  readonly promiseTimeoutMs: number;
  /** How long a switchover waits for transactions that are open when it begins. */
  readonly drainTimeoutMs: number;
  /** How long the old leader of a switchover waits for the target's claim before it leads again. */
  readonly handoverTimeoutMs: number;
  /** `preferred` only: how long commits wait for a standby before the leader goes on alone. */
  readonly degradeAfterMs: number;
  /** A fast stop that lasts longer becomes an immediate one. */
  readonly stopTimeoutMs: number;
}

export const DEFAULT_TIMINGS: Timings = {
  heartbeatMs: 200,
  fenceMs: 1200,
  suspectAfterMs: 1500,
  leaseMs: 10_000,
  promiseTimeoutMs: 1000,
  drainTimeoutMs: 5000,
  handoverTimeoutMs: 2000,
  degradeAfterMs: 10_000,
  stopTimeoutMs: 2000,
};
