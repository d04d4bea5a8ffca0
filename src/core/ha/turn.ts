import type { Epoch } from '#domain/leader-record.ts';
import type { Incarnation, MemberName } from '#domain/member.ts';
import { comparePositions, type Position } from '#domain/position.ts';
import type { ServerJob } from '#domain/server.ts';
import type { Because, Effect } from './effects.ts';
import type { Message } from './messages.ts';
import { RULES, type RuleName } from './rules.ts';
import type { Candidate, HaState, Leader } from './state.ts';

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** Limits the record of reasons in one step; a step that gives more has a loop. */
const REASONS_MAX = 64;

/** One step in the making: the next state, what has to be done, and why. Lives only inside `step`. */
export class Turn {
  readonly now: number;
  readonly state: Mutable<HaState>;
  readonly effects: Effect[] = [];
  readonly because: Because[] = [];
  readonly #without: ReadonlySet<RuleName>;

  constructor(state: HaState, now: number, without: ReadonlySet<RuleName>) {
    this.state = { ...state };
    this.now = now;
    this.#without = without;
  }

  /** Is the action allowed by this rule? True when the condition holds, or when a simulation has switched the rule off. */
  must(rule: RuleName, condition: boolean): boolean {
    return condition || this.#without.has(rule);
  }

  /** For rules that add an action: false when a simulation has switched the rule off. */
  applies(rule: RuleName): boolean {
    return !this.#without.has(rule);
  }

  compare(a: Position, b: Position): number {
    if (this.applies('timelineFirst')) return comparePositions(a, b);
    return a.lsn === b.lsn ? 0 : a.lsn < b.lsn ? -1 : 1;
  }

  do(effect: Effect): void {
    this.effects.push(effect);
  }

  say(rule: RuleName | string, text: string): void {
    const reason = { rule: rule in RULES ? RULES[rule as RuleName].id : rule, text };
    this.state.reason = reason;
    if (this.because.length < REASONS_MAX) this.because.push(reason);
  }

  send(to: MemberName, message: Message): void {
    if (to !== this.state.self.name) this.do({ kind: 'send', to, message });
  }

  broadcast(message: Message): void {
    for (const name of this.others()) this.send(name, message);
  }

  /** All other members that are known, whether they live or not. */
  others(): readonly MemberName[] {
    const names = new Set([...Object.keys(this.state.members), ...Object.keys(this.state.peers)]);
    names.delete(this.state.self.name);
    return [...names].sort();
  }

  get leader(): Leader | null {
    return this.state.role.kind === 'leader' ? this.state.role : null;
  }

  setLeader(change: Partial<Leader>): void {
    if (this.state.role.kind !== 'leader') throw new Error('not a leader');
    this.state.role = { ...this.state.role, ...change };
  }

  setPhase(phase: Leader['phase']): void {
    this.setLeader({ phase, phaseAt: this.now });
  }

  setCandidate(change: Partial<Candidate>): void {
    if (this.state.role.kind !== 'candidate') throw new Error('not a candidate');
    this.state.role = { ...this.state.role, ...change };
  }

  /** Starts an exclusive job; the view of the server is void until the next look. `stop` overtakes a running one. */
  run(job: ServerJob): void {
    if (this.state.job !== null && job.kind !== 'stop') throw new Error(`${job.kind} while ${this.state.job.job.kind} runs`);
    // From here on the log may grow, and somebody may have counted it under this name.
    if (job.kind !== 'clone' && job.kind !== 'rewind' && job.kind !== 'stop') this.state.cloneInto = null;
    const id = this.state.nextId++;
    this.state.job = { id, job, startedAt: this.now };
    this.do({ kind: 'job', id, job });
  }

  /** Writes promise and incarnation to disk; everything that depends on them waits for `persisted`. */
  persist(promise: Epoch, incarnation: Incarnation = this.state.incarnation): void {
    if (!this.applies('persistPromise')) {
      this.state.promise = promise;
      this.state.incarnation = incarnation;
      return;
    }
    if (this.state.persisting !== null) throw new Error('two promises at once: which of them is on disk would be unknown');
    this.state.persisting = { promise, incarnation };
    this.do({ kind: 'persist', promise, incarnation });
  }

  /** 0 ≤ x < 1, from the state's own generator (mulberry32). */
  random(): number {
    this.state.random = (this.state.random + 0x6d2b79f5) | 0;
    let t = this.state.random;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  }

  token(): string {
    return Math.floor(this.random() * 2 ** 32)
      .toString(16)
      .padStart(8, '0');
  }

  answer(id: string, ok: boolean, text: string): void {
    this.do({ kind: 'answer', id, ok, text });
  }
}
