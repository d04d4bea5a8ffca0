import type { JobResult, ServerJob } from '#domain/server.ts';
import type { VirtualAgent } from './agent.ts';
import { deadlineMs, runJob } from './jobs/run-job.ts';

interface RunningJob {
  readonly id: number;
  readonly kind: ServerJob['kind'];
  readonly cancel: () => void;
}

/** Carries jobs out in the agent: one at a time, except `checkpoint` beside the others, and `stop`, which cancels what runs. */
export class JobRunner {
  readonly #agent: VirtualAgent;
  #running: RunningJob | null = null;

  constructor(agent: VirtualAgent) {
    this.#agent = agent;
  }

  start(id: number, job: ServerJob): void {
    const { member, process } = this.#agent;
    const { scheduler } = member.world;
    if (job.kind === 'stop') this.#cancel();
    else if (this.#running !== null && job.kind !== 'checkpoint')
      throw new Error(`${member.name} was told to ${job.kind} while ${this.#running.kind} runs`);
    const upstream = 'upstream' in job ? (job.upstream?.member ?? null) : null;
    member.world.note({ kind: 'jobStarted', member, job: job.kind, upstream });
    let over = false;
    const cut = (): boolean => {
      const first = !over;
      over = true;
      cancelTask();
      return first;
    };
    const tell = (result: JobResult): void => {
      if (this.#running?.id === id) this.#running = null;
      member.world.note({ kind: 'jobEnded', member, job: job.kind, ok: result.ok });
      this.#agent.feed({ kind: 'jobDone', id, result });
    };
    const end = (result: JobResult): void => {
      if (cut()) tell(result);
    };
    const cancelTask = scheduler.start(process, runJob(member, job), end);
    this.#agent.after(deadlineMs(job), () => end({ ok: false, code: 'failed', why: `${job.kind} took too long` }));
    if (job.kind === 'checkpoint') return;
    const cancel = (): void => {
      if (cut()) this.#agent.after(0.1, () => tell({ ok: false, code: 'cancelled', why: 'overtaken by stop' }));
    };
    this.#running = { id, kind: job.kind, cancel };
  }

  #cancel(): void {
    const running = this.#running;
    this.#running = null;
    running?.cancel();
  }
}
