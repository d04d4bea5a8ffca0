import type { ClusterConfig } from '#domain/config/cluster-config.ts';
import type { MemberFacts } from './member-facts.ts';

/**
 * A standby must not run with less of these than its primary did when it wrote the log: it would stop replaying, or not start at all
 * (manual, 26.4.3, "Administrator's Overview"). So they are raised on the standbys first, and lowered on the primary first. With
 * PostgreSQL's own defaults, or Matriarch's where it has others.
 */
export const ORDERED_PARAMETERS: Readonly<Record<string, number>> = {
  max_connections: 100,
  max_worker_processes: 8,
  max_wal_senders: 16,
  max_prepared_transactions: 0,
  max_locks_per_transaction: 64,
};

export interface ParameterStep {
  /** The configuration for now: while one parameter still has to be raised, or a member is away or on its way, none is lowered. */
  readonly config: ClusterConfig;
  /** Names that the primary has to lower before anybody else is restarted. */
  readonly lowering: readonly string[];
  /** The primary runs with less than a standby: were that one to lead now, the old primary could not follow it. */
  readonly midway: boolean;
}

function wantedValue(config: ClusterConfig, name: string): number {
  const said = Object.entries(config.postgresql.parameters).find(([key]) => key.toLowerCase() === name)?.[1];
  return said === undefined ? (ORDERED_PARAMETERS[name] ?? 0) : Number(said);
}

/**
 * Where one parameter is raised and another lowered at once, two ways: with both in one file, a standby restarted for the one would
 * refuse to start for the other. `calm`: everybody is there and well, and nobody is to leave.
 */
export function parameterStep(wanted: ClusterConfig, members: readonly MemberFacts[], calm: boolean): ParameterStep {
  const inForce = (name: string) => members.flatMap(({ view }) => view?.parameters[name] ?? []);
  const ofPrimary = members.find(({ view }) => view?.role === 'primary')?.view?.parameters ?? {};
  const names = Object.keys(ORDERED_PARAMETERS);
  const raised = names.filter((name) => inForce(name).some((value) => value < wantedValue(wanted, name)));
  const lowered = names.filter((name) => inForce(name).some((value) => value > wantedValue(wanted, name)));
  const lowering = lowered.filter((name) => (ofPrimary[name] ?? Infinity) > wantedValue(wanted, name));
  const kept = raised.length > 0 ? lowered : calm ? [] : lowering;
  if (kept.length === 0) return { config: wanted, lowering, midway: lowered.length > lowering.length };
  const others = Object.entries(wanted.postgresql.parameters).filter(([key]) => !kept.includes(key.toLowerCase()));
  const parameters = {
    ...Object.fromEntries(others),
    ...Object.fromEntries(kept.map((name) => [name, String(Math.max(...inForce(name)))])),
  };
  const config = { ...wanted, postgresql: { ...wanted.postgresql, parameters } };
  return { config, lowering: [], midway: lowered.some((name) => !kept.includes(name)) };
}
