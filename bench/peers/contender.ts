import type { FaultRun } from '../../test/support/fault-run.ts';

/** What is done to the primary of each contender, with the same hands: signals, the network, and its own command for a switchover. */
export const CONTEST_FAULTS = {
  killPostmaster: 'kill -9 of the postmaster',
  killMember: 'the whole member killed at once, for good',
  powerOff: 'the whole member powered off: no packet says so',
  cutOff: 'the primary cut off from everything',
  stopMember: 'SIGSTOP of agent and server, continued after the failover',
  killAgentRestarted: 'kill -9 of the agent, restarted after 1.5 s',
  switchover: 'switchover',
} as const;

export type ContestFault = keyof typeof CONTEST_FAULTS;

export interface ContestRun extends Pick<FaultRun, 'outageMs' | 'errors'> {
  /** Acknowledged rows that are gone. */
  readonly lost: number;
}

/** A cluster of three members on three hosts, with etcd on a fourth, that keeps PostgreSQL alive in its own way. */
export interface Contender {
  readonly name: string;
  /** Injects the fault into a cluster in order, under writes; resolves when everything is in order again. */
  run(fault: ContestFault): Promise<ContestRun>;
  destroy(): Promise<void>;
}
