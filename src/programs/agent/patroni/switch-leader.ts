import { callApi } from '#adapters/http/call-api.ts';
import type { ApiRequest, JsonResponse, TextResponse } from '#adapters/http/router.ts';
import { switchoverBarrier } from '#core/ha/handover.ts';
import { fail, MatriarchError } from '#domain/errors.ts';
import type { MemberName } from '#domain/member.ts';
import { addressOf } from '../address-book.ts';
import { readLeaderRecord } from '../shapes.ts';
import { KEYS } from '../store-feed.ts';
import type { PatroniWorld } from './patroni-world.ts';
import { type Action, failureText, type Plan, planSwitchover, successText } from './switchover-requests.ts';

type Ask = Extract<Plan, { kind: 'ask' }>;
type Outcome = { readonly status: number; readonly text: string };

/** Longer than the one that carries it out waits for its core. */
const FORWARD_TIMEOUT_MS = 115_000;

/** POST /switchover and /failover, at whatever member: it is carried out by the one whom it concerns. */
export async function switchLeader(world: PatroniWorld, action: Action, request: ApiRequest): Promise<TextResponse> {
  const { state, clock } = world.options;
  const plan = planSwitchover(action, request.body, state(), world.view().leads, clock());
  if (plan.kind === 'refuse') return plan;
  const { status, text } =
    plan.member === state().self.name ? await carryOut(world, plan, request.signal) : await forward(world, plan, request.signal);
  return { status, text };
}

/** What another member asks this one to carry out. */
export async function switchLeaderForPeer(world: PatroniWorld, { body, signal }: ApiRequest): Promise<JsonResponse> {
  const { how, action, candidate } = (body ?? {}) as { readonly [key: string]: unknown };
  if (how !== 'handOver' && how !== 'stand') return fail('api.malformed', '`how` must be handOver or stand');
  if (action !== 'switchover' && action !== 'failover') return fail('api.malformed', '`action` must be switchover or failover');
  if (candidate !== undefined && typeof candidate !== 'string') return fail('api.malformed', '`candidate` must be a name');
  const member = world.options.state().self.name;
  const to = candidate === undefined ? {} : { candidate };
  const { status, text } = await carryOut(world, { kind: 'ask', member, how, action, ...to }, signal);
  return { status, json: { text } };
}

async function carryOut(world: PatroniWorld, { how, action, candidate }: Ask, signal: AbortSignal): Promise<Outcome> {
  const { state, clock, command } = world.options;
  if (how === 'handOver') {
    const barrier = switchoverBarrier(state(), clock(), candidate);
    if (barrier !== null) return { status: 412, text: `${action} is not possible: ${barrier}` };
  }
  try {
    if (how === 'stand') await command({ kind: 'failover', allowDataLoss: false }, signal);
    else await command({ kind: 'switchover', ...(candidate === undefined ? {} : { to: candidate }) }, signal);
  } catch (error) {
    return failed(action, error);
  }
  return { status: 200, text: successText(action, await leaderNow(world), candidate) };
}

async function forward(world: PatroniWorld, plan: Ask, signal: AbortSignal): Promise<Outcome> {
  const { kind: _, member, ...body } = plan;
  try {
    const { status, json } = await askMember(world, member, 'POST', '/patroni/switchover', {
      body,
      timeoutMs: FORWARD_TIMEOUT_MS,
      signal,
    });
    return { status, text: String((json as { text?: unknown } | null)?.text ?? '') };
  } catch (error) {
    return failed(plan.action, error);
  }
}

function failed(action: Action, error: unknown): Outcome {
  if (!(error instanceof MatriarchError)) throw error;
  const unknown = error.code === 'request.timeout';
  return { status: 503, text: failureText(action, unknown ? `status unknown: ${error.message}` : `failed: ${error.message}`) };
}

/** Errors: those of `callApi`; `member.unknown`. */
export function askMember(
  { options }: PatroniWorld,
  name: MemberName,
  method: 'GET' | 'POST',
  path: string,
  call: Parameters<typeof callApi>[3],
): Promise<JsonResponse> {
  const member = options.state().members[name];
  if (member === undefined) return fail('member.unknown', `${name} is not known here`);
  return callApi({ ...addressOf(member.api), name, tls: options.identity() }, method, path, call);
}

/** By the store: the core's answer may be older than what came of it. */
async function leaderNow({ options }: PatroniWorld): Promise<MemberName> {
  const found = await options.store.get(KEYS.leader).catch(() => undefined);
  const record = found === undefined ? undefined : readLeaderRecord(found.value);
  return (record ?? options.state().record?.value)?.member ?? '';
}
