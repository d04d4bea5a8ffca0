import { setTimeout as sleep } from 'node:timers/promises';
import type { PromiseFile } from '#adapters/files/promise-file.ts';
import type { Effect } from '#core/ha/effects.ts';
import type { HaEvent } from '#core/ha/events.ts';
import type { Message } from '#core/ha/messages.ts';
import type { HaState } from '#core/ha/state.ts';
import type { MemberConfig } from '#domain/config/member-config.ts';
import type { MemberRecord } from '#domain/member.ts';
import type { ServerPort } from '#domain/ports/server-port.ts';
import type { Store } from '#domain/ports/store.ts';
import { formatToWrite, RECORD_FORMAT } from '#domain/record-format.ts';
import type { JobResult } from '#domain/server.ts';
import { VERSION } from '#programs/cli/version.ts';
import type { AgentLog } from './agent-log.ts';
import { toJson } from './record-json.ts';
import { readLeader, swapLeader, writeIdentity } from './store-effects.ts';
import { KEYS } from './store-feed.ts';

const SLOW_LOOK_MS = 500;
const PUBLISH_AGAIN_MS = 5000;

export interface World {
  readonly config: MemberConfig;
  readonly clock: () => number;
  readonly store: Store;
  readonly server: ServerPort;
  readonly promiseFile: PromiseFile;
  readonly log: AgentLog;
  readonly state: () => HaState;
  readonly send: (to: string, message: Message) => void;
  readonly setDeadline: (deadline: number | null) => void;
  readonly onProgress: (text: string) => void;
  readonly storeAnswered: (ok: boolean) => void;
  readonly answer: (id: string, ok: boolean, text: string) => void;
  readonly exit: () => void;
  /** Resolves when no proxy runs anything here any more, or the time for it is up. */
  readonly holdProxies: () => Promise<void>;
  readonly releaseProxies: () => void;
}

/** Carries out one effect and gives its answer, when it has one. Decides nothing. */
export function performer(world: World): (effect: Effect) => Promise<HaEvent | undefined> {
  return async (effect) => {
    switch (effect.kind) {
      case 'persist':
        return persist(world, effect);
      case 'send':
        world.send(effect.to, effect.message);
        return;
      case 'read':
        return heard(world, await readLeader(world.store, world.clock));
      case 'swap':
        return heard(world, await swapLeader(world.store, effect, formatNow(world)));
      case 'identify':
        return writeIdentity(world.store, effect, formatNow(world));
      case 'appendHistory':
        await attempt(world, 'history', () =>
          world.store.put(`${KEYS.history}${String(effect.entry.epoch).padStart(10, '0')}`, {
            format: formatNow(world),
            ...(toJson(effect.entry) as object),
          }),
        );
        return;
      case 'observe':
        return observe(world);
      case 'job': {
        const startedAt = world.clock();
        const result =
          (await firstHold(world, effect)) ?? (await world.server.run(effect.job, world.state().incarnation, world.onProgress));
        world.log.info(
          'job',
          `${effect.job.kind}: ${result.ok ? 'done' : result.code} after ${Math.round(world.clock() - startedAt)} ms`,
        );
        return { kind: 'jobDone', id: effect.id, result };
      }
      case 'guard':
        world.setDeadline(effect.deadline);
        return;
      case 'publish':
        await publishUntilItStands(world, effect);
        return;
      case 'reportDivergence':
        world.log.warn('divergence', JSON.stringify(toJson(effect.divergence)));
        return;
      case 'answer':
        world.answer(effect.id, effect.ok, effect.text);
        return;
      case 'exit':
        world.exit();
        return;
    }
  };
}

/**
 * The gate is closed for a switchover, and for nothing else without cutting whoever is in: before it, the proxies let end what runs.
 * A stop overtakes that wait as it overtakes a job, and then the gate is no longer to be touched.
 */
async function firstHold(world: World, { id, job }: Extract<Effect, { kind: 'job' }>): Promise<JobResult | undefined> {
  if (job.kind === 'stop' && job.mode === 'kill') world.releaseProxies();
  if (job.kind !== 'gate' || job.open || job.cut) return undefined;
  await world.holdProxies();
  if (world.state().job?.id === id) return undefined;
  return { ok: false, code: 'cancelled', why: 'stopped while proxies were waited for' };
}

/** No member may find a record that it cannot read. */
function formatNow(world: World): number {
  return formatToWrite(Object.values(world.state().members));
}

async function observe(world: World): Promise<HaEvent> {
  const startedAt = world.clock();
  const server = await world.server.observe(world.state().incarnation);
  const tookMs = world.clock() - startedAt;
  if (tookMs > SLOW_LOOK_MS) world.log.warn('observe', `a look at the server (${server.state}) took ${Math.round(tookMs)} ms`);
  return { kind: 'observed', server };
}

async function persist(world: World, { promise, incarnation }: Extract<Effect, { kind: 'persist' }>): Promise<HaEvent> {
  try {
    await world.promiseFile.write({ epoch: promise, incarnation });
    return { kind: 'persisted', promise, incarnation };
  } catch (error) {
    return { kind: 'persistFailed', why: (error as Error).message };
  }
}

/** Newer ones end it: by then this one would be wrong. */
async function publishUntilItStands(world: World, effect: Extract<Effect, { kind: 'publish' }>): Promise<void> {
  const { published } = world.state();
  while (!(await attempt(world, 'members', () => publish(world, effect)))) {
    await sleep(PUBLISH_AGAIN_MS, undefined, { ref: false });
    if (world.state().published !== published) return;
  }
}

async function publish(world: World, { state, position, reason }: Extract<Effect, { kind: 'publish' }>): Promise<void> {
  const { name, host, port, tags, api } = world.config;
  const record: MemberRecord = {
    name,
    incarnation: world.state().incarnation,
    api: `${api.host}:${api.port}`,
    host,
    port,
    tags,
    versions: { matriarch: VERSION, postgres: world.config.postgresBin },
    reads: RECORD_FORMAT,
    state,
    position,
    reason,
  };
  await world.store.put(
    `${KEYS.members}${name}`,
    { ...(toJson(record) as object), format: formatNow(world) },
    { ttlMs: 3 * world.state().self.publishEveryMs, durable: false },
  );
}

/** A read or write of the record tells whether the store answers. */
function heard(world: World, event: HaEvent): HaEvent {
  const silent = event.kind === 'readFailed' || (event.kind === 'swapped' && event.outcome === 'unknown');
  world.storeAnswered(!silent);
  return event;
}

/** What is only told: its failure is told too. False: it failed. */
async function attempt(world: World, part: string, write: () => Promise<unknown>): Promise<boolean> {
  try {
    await write();
    world.storeAnswered(true);
    return true;
  } catch (error) {
    world.storeAnswered(false);
    world.log.warn(part, (error as Error).message);
    return false;
  }
}
