import type { Happening } from './journal.ts';

export const COVERED = [
  'failovers',
  'switchovers',
  'lease claims',
  'forced failovers',
  're-claims',
  'bootstraps',
  'partitions',
  'promises granted',
  'promises refused',
  'degradations',
  'rewinds',
  'clones',
  'restarts in place',
  'fetches',
  'guard kills',
  'agent crashes at an effect',
  'member power losses',
  'pauses',
  'clock jumps',
  'disks lost',
  'disks full',
  'store outages',
  'compare-and-sets lost',
  'compare-and-sets without an answer',
  'changes of S or k',
  'incarnations forgotten',
  'members forgotten',
  'members forgotten that run',
  'forgotten members that are back',
  'adoptions of a running server',
  'writes acknowledged',
] as const;
export type Covered = (typeof COVERED)[number];

/** What a run, or many, came across. */
export class Coverage {
  readonly counts = new Map<Covered, number>(COVERED.map((name) => [name, 0]));

  add(name: Covered, count = 1): void {
    this.counts.set(name, (this.counts.get(name) ?? 0) + count);
  }

  happened(happening: Happening): void {
    const name = classify(happening);
    if (name !== null) this.add(name);
  }
}

function classify(happening: Happening): Covered | null {
  switch (happening.kind) {
    case 'acknowledged':
      return 'writes acknowledged';
    case 'recorded':
      return classifyRecord(happening);
    case 'casLost':
      return 'compare-and-sets lost';
    case 'casUnknown':
      return 'compare-and-sets without an answer';
    case 'guardKilled':
      return 'guard kills';
    case 'jobEnded':
      return happening.ok ? classifyJob(happening.job) : null;
    case 'sent':
      if (happening.message.kind === 'promised') return 'promises granted';
      if (happening.message.kind === 'refused') return 'promises refused';
      return happening.message.kind === 'forgotten' ? 'incarnations forgotten' : null;
    case 'adopted':
      return 'adoptions of a running server';
    case 'fault':
      return classifyFault(happening.name);
    default:
      return null;
  }
}

function classifyRecord({ before, after }: Extract<Happening, { kind: 'recorded' }>): Covered | null {
  if (before === null) return 'bootstraps';
  if (before.epoch !== after.epoch) {
    const causes = {
      failover: 'failovers',
      switchover: 'switchovers',
      lease: 'lease claims',
      forced: 'forced failovers',
      reclaim: 're-claims',
      bootstrap: 'bootstraps',
    } as const;
    return causes[after.cause];
  }
  if (after.degradedSince !== undefined && before.degradedSince === undefined) return 'degradations';
  return before.k !== after.k || before.sync.join() !== after.sync.join() ? 'changes of S or k' : null;
}

function classifyJob(job: string): Covered | null {
  const jobs: Readonly<Record<string, Covered>> = {
    rewind: 'rewinds',
    clone: 'clones',
    startPrimary: 'restarts in place',
    fetch: 'fetches',
  };
  return jobs[job] ?? null;
}

function classifyFault(name: string): Covered | null {
  if (name.startsWith('crash ')) return 'agent crashes at an effect';
  const faults: Readonly<Record<string, Covered>> = {
    partition: 'partitions',
    oneWayPartition: 'partitions',
    isolateLeader: 'partitions',
    storePartition: 'partitions',
    powerOff: 'member power losses',
    everythingOff: 'member power losses',
    memberPause: 'pauses',
    agentPause: 'pauses',
    clockJump: 'clock jumps',
    'a disk is lost': 'disks lost',
    fullDisk: 'disks full',
    'a member is forgotten': 'members forgotten',
    'a running member is forgotten': 'members forgotten that run',
    'a forgotten member is back': 'forgotten members that are back',
    storeOutage: 'store outages',
  };
  return faults[name] ?? null;
}
