import type { Incarnation } from '../member.ts';
import type { JobResult, ServerJob, ServerView } from '../server.ts';

/** One PostgreSQL server as its agent sees it. */
export interface ServerPort {
  /** Never rejects and never takes longer than 1 s: a server that does not answer is `stuck`. */
  observe(incarnation: Incarnation): Promise<ServerView>;
  /**
   * Never rejects. Exclusive jobs are the caller's to serialise; `stop` aborts a running one, which then ends as `cancelled`.
   * `incarnation` is this member's own, for application_name and slot.
   */
  run(job: ServerJob, incarnation: Incarnation, onProgress: (text: string) => void): Promise<JobResult>;
  /** Called once for each end of the server process, within milliseconds, however it was started. */
  onEnded(listener: () => void): void;
  /** Of the postmaster that runs now. */
  pid(): number | undefined;
  /** Drops connections and watchers. The server runs on. */
  close(): Promise<void>;
}
