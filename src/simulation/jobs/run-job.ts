import type { JobResult, ServerJob } from '#domain/server.ts';
import type { VirtualMember } from '../member.ts';
import type { Task } from '../scheduler.ts';
import { bootstrap, startPrimary, startStandby, stop } from './lifecycle.ts';
import { clone, rewind } from './rejoin.ts';
import { detach, fetch, follow, promote } from './replication.ts';
import { checkpoint, drain, gate, slots } from './serving.ts';
import { setSync } from './set-sync.ts';

/** How long the adapter lets a job take before it fails. */
export function deadlineMs(job: ServerJob): number {
  if (job.kind === 'clone' || job.kind === 'bootstrap') return 60_000;
  if (job.kind === 'drain') return job.timeoutMs + 1000;
  return job.kind === 'fetch' || job.kind === 'detach' || job.kind === 'gate' ? 3000 : 15_000;
}

/** What the adapter does for each job, step by step. It runs in the agent: every yield is a point where the agent may die. */
export function* runJob(member: VirtualMember, job: ServerJob): Task<JobResult> {
  yield 0.5; // Nothing is free: a core that asks again at once for what has failed is seen to be busy.
  return yield* stepsOf(member, job);
}

function stepsOf(member: VirtualMember, job: ServerJob): Task<JobResult> {
  switch (job.kind) {
    case 'bootstrap':
      return bootstrap(member);
    case 'clone':
      return clone(member, job.upstream);
    case 'rewind':
      return rewind(member, job.upstream);
    case 'startPrimary':
      return startPrimary(member);
    case 'startStandby':
      return startStandby(member, job.upstream);
    case 'follow':
      return follow(member, job.upstream);
    case 'detach':
      return detach(member);
    case 'fetch':
      return fetch(member, job.upstream, job.until);
    case 'promote':
      return promote(member, job.timeline);
    case 'setSync':
      return setSync(member, job.setting, job.wait);
    case 'slots':
      return slots(member, job.keep);
    case 'gate':
      return gate(member, job.open, job.cut);
    case 'drain':
      return drain(member, job.timeoutMs);
    case 'checkpoint':
      return checkpoint(member);
    case 'stop':
      return stop(member, job.mode);
  }
}
