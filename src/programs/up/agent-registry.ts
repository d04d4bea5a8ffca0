import { readFileSync } from 'node:fs';
import { writeAtomically } from '#adapters/files/write-atomically.ts';
import type { ProcessIdentity } from '#adapters/process/processes.ts';

/**
 * Which process is the agent of which member, on disk, so that whoever supervises the cluster next finds the agents again, also those
 * that do not answer. Written at every start of an agent.
 */
export class AgentRegistry {
  readonly #file: string;
  #known: Readonly<Record<string, ProcessIdentity>>;
  #written: Promise<void> = Promise.resolve();

  constructor(file: string) {
    this.#file = file;
    this.#known = read(file);
  }

  get(member: string): ProcessIdentity | undefined {
    return this.#known[member];
  }

  set(member: string, { pid, startTime }: ProcessIdentity): Promise<void> {
    this.#known = { ...this.#known, [member]: { pid, startTime } };
    this.#written = this.#written.then(() => writeAtomically(this.#file, `${JSON.stringify(this.#known)}\n`));
    return this.#written;
  }
}

function read(file: string): Record<string, ProcessIdentity> {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as Record<string, ProcessIdentity>;
  } catch {
    return {};
  }
}
