import type { Because, Effect } from '#core/ha/effects.ts';
import type { HaEvent } from '#core/ha/events.ts';
import { formatLsn } from '#domain/lsn.ts';
import type { Happening } from './journal.ts';

/** Lines kept of a traced run; the last ones are those that matter. */
const LINES_MAX = 200_000;

/** What a run leaves behind: always a hash of everything that happened, and with `on` a line for people for each of it. */
export class Trace {
  readonly on: boolean;
  readonly lines: string[] = [];
  #hash = 0x811c9dc5;

  constructor(on: boolean) {
    this.on = on;
  }

  /** Two runs with the same hash did the same. */
  get hash(): string {
    return (this.#hash >>> 0).toString(16).padStart(8, '0');
  }

  mix(value: number): void {
    this.#hash = Math.imul(this.#hash ^ (value | 0), 0x01000193) ^ (this.#hash >>> 15);
  }

  line(at: number, who: string, text: string): void {
    if (!this.on) return;
    if (this.lines.length >= LINES_MAX) this.lines.splice(0, LINES_MAX / 2);
    this.lines.push(`${(at / 1000).toFixed(4).padStart(9)}  ${who.padEnd(6)} ${text}`);
  }

  happened(at: number, happening: Happening): void {
    this.mix(at * 1000);
    if (this.on) {
      const [who, text] = describe(happening);
      if (text !== '') this.line(at, who, text);
    }
  }

  stepped(at: number, member: string, event: HaEvent, effects: readonly Effect[], because: readonly Because[]): void {
    this.mix(at * 1000 + effects.length);
    if (!this.on) return;
    const worthTelling = effects.filter((effect) => !isRoutine(effect));
    if (worthTelling.length === 0 && because.length === 0 && isRoutineEvent(event)) return;
    this.line(at, member, `· ${show(event)}`);
    for (const reason of because) this.line(at, member, `    because ${reason.rule}: ${reason.text}`);
    for (const effect of worthTelling) this.line(at, member, `    → ${show(effect)}`);
  }
}

function isRoutine(effect: Effect): boolean {
  if (effect.kind === 'send') return effect.message.kind === 'heartbeat' || effect.message.kind === 'alive';
  return effect.kind === 'observe' || effect.kind === 'guard' || effect.kind === 'read' || effect.kind === 'publish';
}

function isRoutineEvent(event: HaEvent): boolean {
  if (event.kind === 'received') return event.message.kind === 'heartbeat' || event.message.kind === 'alive';
  return event.kind === 'tick' || event.kind === 'observed' || event.kind === 'members' || event.kind === 'record';
}

function show(value: unknown): string {
  const text = JSON.stringify(value, (key, item: unknown) => {
    if (typeof item === 'bigint') return formatLsn(item);
    if (key === 'evidence' || key === 'since' || key === 'wall' || key === 'lineage') return undefined;
    return item;
  });
  return text.replaceAll('"', '').slice(0, 500);
}

function describe(happening: Happening): readonly [string, string] {
  switch (happening.kind) {
    case 'written':
      return [
        happening.server.member.name,
        `writes row ${happening.record.row?.id} at ${happening.record.position.timeline}:${happening.record.end.toString(16)}`,
      ];
    case 'released':
      return [happening.server.member.name, `lets the commit of row ${happening.record.row?.id} go`];
    case 'acknowledged':
      return ['client', `row ${happening.record.row?.id} is acknowledged by ${happening.server.member.name}`];
    case 'read':
      return happening.rows.length === 0
        ? ['', '']
        : [
            'client',
            `reads ${happening.rows.length} more rows from ${happening.server.member.name}: ${happening.rows.map((row) => row.id).slice(-5)}`,
          ];
    case 'primaryOpened':
      return [happening.server.member.name, 'its server is a primary'];
    case 'gate':
      return [happening.server.member.name, happening.open ? 'admits clients' : 'keeps clients out'];
    case 'serverEnded':
      return ['', ''];
    case 'connected': {
      const { standby, upstream, name, blind } = happening.connection;
      return [standby.member.name, `streams from ${upstream.member.name} as ${name}${blind ? ', blindly' : ''}`];
    }
    case 'blind':
      return [happening.standby.member.name, `takes the log of ${happening.upstream.member.name} for its own`];
    case 'recorded':
      return ['store', `the record by ${happening.by.name}: ${show(happening.after)}`];
    case 'casLost':
      return [happening.by.name, 'its compare-and-set lost'];
    case 'casUnknown':
      return [
        happening.by.name,
        `its compare-and-set got no answer (${happening.happened ? 'it happened' : 'it did not happen'})`,
      ];
    case 'promised':
      return [happening.member.name, `on disk: promise ${happening.after.promise}, ${happening.after.incarnation}`];
    case 'discarded':
      return [happening.member.name, `${happening.log.length - happening.kept} records are gone by ${happening.by}`];
    case 'step':
    case 'sent':
    case 'delivered':
    case 'jobStarted':
      return ['', ''];
    case 'jobEnded':
      return [happening.member.name, `${happening.job} ${happening.ok ? 'is done' : 'failed'}`];
    case 'adopted':
    case 'guardKilled':
      return ['', ''];
    case 'fault':
      return ['FAULT', `${happening.name} ${happening.member ?? ''}`];
    case 'lostWal':
      return [happening.member, 'reports what diverged'];
  }
}
