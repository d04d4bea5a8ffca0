import type { Turn } from './turn.ts';

/**
 * The data directory belongs to another cluster: somebody put it there, and it may be all that there is of that cluster. Nothing is
 * done with it but to say so. A person moves it away, or has it cloned over by an explicit `reinit`.
 */
export function foreignData(turn: Turn): string | null {
  const { server, identity, reinit } = turn.state;
  const cluster = identity?.systemIdentifier;
  if (server?.state !== 'stopped' || server.systemIdentifier === undefined || cluster == null || reinit !== null) return null;
  if (server.systemIdentifier === cluster) return null;
  return `cluster.foreignSystem: its data directory has the system identifier ${server.systemIdentifier}, this cluster has ${cluster}; nothing is touched`;
}
