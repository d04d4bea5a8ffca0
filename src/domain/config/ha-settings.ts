import type { ClusterConfig } from './cluster-config.ts';

/** The part of the configuration that the HA core decides by, in the core's terms. */
export function haSettings(config: ClusterConfig) {
  return {
    durability: config.durability.mode,
    synchronousCount: config.durability.count,
    timings: config.timings,
    maximumLagBytes: config.maximumLagBytes,
    maximumLagOnFailoverBytes: config.maximumLagOnFailoverBytes,
    paused: config.paused,
  } as const;
}
