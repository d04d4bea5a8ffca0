import type { ClusterConfig } from '#domain/config/cluster-config.ts';

/** Patroni's dynamic configuration: the document of `GET /config`, by Patroni's names. */
export function configView(config: ClusterConfig): Readonly<Record<string, unknown>> {
  const { mode, count } = config.durability;
  return {
    ttl: config.timings.leaseMs / 1000,
    maximum_lag_on_failover: config.maximumLagOnFailoverBytes,
    maximum_lag_on_syncnode: config.maximumLagBytes,
    // The sets of Matriarch are ANY k (S), which Patroni calls quorum. A bare `false`, since scripts ask whether it is true.
    synchronous_mode: mode === 'async' ? false : 'quorum',
    synchronous_mode_strict: mode === 'required',
    synchronous_node_count: count,
    pause: config.paused,
    postgresql: { parameters: config.postgresql.parameters },
  };
}

/** The names in an error of the checker, and what whoever wrote Patroni's document called them. */
const NAMES: Readonly<Record<string, string>> = {
  'timings.leaseMs': 'ttl',
  maximumLagOnFailoverBytes: 'maximum_lag_on_failover',
  maximumLagBytes: 'maximum_lag_on_syncnode',
  'durability.count': 'synchronous_node_count',
  'durability.mode': 'synchronous_mode',
};

/** `config: timings.leaseMs: must be …` as `config: ttl: must be …`. */
export function inPatroniNames(message: string): string {
  return Object.entries(NAMES).reduce((text, [ours, theirs]) => text.replaceAll(`: ${ours}:`, `: ${theirs}:`), message);
}
