import type { MemberName } from '#domain/member.ts';
import type { Happening } from '../journal.ts';
import type { World } from '../world.ts';
import type { Checker, Complaint } from './checker.ts';

const SILENCE_MS = 10_000;

/** Ticks further apart than this: the agent did not run in between, and could say nothing. */
const TICK_MAX_MS = 300;

interface Progress {
  readonly replayed: number;
  /** Which start of the agent: a new one has its time to find out. */
  readonly start: number;
  readonly at: number;
  readonly silentMs: number;
}

/** H11: every member's replay position advances, or it publishes why not within 10 s. */
export class NoSilence implements Checker {
  readonly invariant = 'H11';
  readonly #progress = new Map<MemberName, Progress>();
  readonly #reasons = new Map<MemberName, string>();
  readonly #saidAt = new Map<MemberName, number>();

  happened(happening: Happening, world: World): Complaint {
    if (happening.kind !== 'step') return null;
    const { member, effects, event } = happening;
    for (const effect of effects)
      if (effect.kind === 'publish') {
        // The reason before it counts while it is fresh: a job makes an agent blind for a moment.
        if (says(this.#reasons.get(member.name))) this.#saidAt.set(member.name, world.scheduler.now);
        this.#reasons.set(member.name, effect.reason);
      }
    return event.kind === 'tick' ? this.#silent(world, member.name) : null;
  }

  #silent(world: World, name: MemberName): Complaint {
    const member = world.member(name);
    const { server } = member;
    const { now } = world.scheduler;
    const known = this.#progress.get(name);
    const behind =
      server?.role === 'standby' && server.process.runs && !server.volume.hung && server.replayed < server.directory.flushed;
    if (!behind || known?.replayed !== server.replayed || known.start !== member.starts) {
      this.#progress.set(name, { replayed: server?.replayed ?? 0, start: member.starts, at: now, silentMs: 0 });
      return null;
    }
    const silentMs = known.silentMs + Math.min(now - known.at, TICK_MAX_MS);
    this.#progress.set(name, { ...known, at: now, silentMs });
    const reason = this.#reasons.get(name) ?? 'nothing';
    const saidMs = now - (this.#saidAt.get(name) ?? Number.NEGATIVE_INFINITY);
    if (silentMs < SILENCE_MS || saidMs < SILENCE_MS || says(reason)) return null;
    return `${name} has not replayed for ${Math.round(silentMs)} ms and says only: ${reason}`;
  }
}

function says(reason: string | undefined): boolean {
  return reason !== undefined && /replay|disk/.test(reason);
}
