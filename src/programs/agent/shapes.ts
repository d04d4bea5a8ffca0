import type { Identity } from '#core/ha/events.ts';
import type { Message } from '#core/ha/messages.ts';
import { type HistoryEntry, LEADER_CAUSES, type LeaderRecord } from '#domain/leader-record.ts';
import { MEMBER_STATES, type MemberRecord } from '#domain/member.ts';
import { refusalOf } from '#domain/record-format.ts';
import { fromJson } from './record-json.ts';

type Check = (value: unknown) => boolean;
type Shape = Readonly<Record<string, Check>>;

const number: Check = (value) => typeof value === 'number' && Number.isFinite(value);
const count: Check = (value) => typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
const text: Check = (value) => typeof value === 'string' && value.length <= 4096;
const flag: Check = (value) => typeof value === 'boolean';
const lsn: Check = (value) => typeof value === 'bigint';
const oneOf =
  (values: readonly string[]): Check =>
  (value) =>
    typeof value === 'string' && values.includes(value);
const orNull =
  (check: Check): Check =>
  (value) =>
    value === null || check(value);
const optional =
  (check: Check): Check =>
  (value) =>
    value === undefined || check(value);
const list =
  (check: Check): Check =>
  (value) =>
    Array.isArray(value) && value.length <= 10_000 && value.every(check);
const object =
  (shape: Shape): Check =>
  (value) =>
    typeof value === 'object' &&
    value !== null &&
    Object.entries(shape).every(([key, check]) => check((value as Record<string, unknown>)[key]));
const textMap: Check = (value) =>
  typeof value === 'object' && value !== null && !Array.isArray(value) && Object.values(value).every((part) => text(part));

const position = object({ timeline: count, lsn });
const lineage = list(object({ timeline: count, end: lsn }));
const log = object({ incarnation: text, position, lineage });
const server = object({ host: text, port: count });
const tags = object({ nofailover: flag, priority: number, nosync: flag, clonefrom: flag });

/** What each message must look like. Agents of the next release may add fields; those are passed over. */
const MESSAGES: { readonly [K in Message['kind']]: Check } = {
  heartbeat: object({
    epoch: count,
    run: text,
    sentAt: number,
    fenceMs: number,
    server: orNull(server),
    position,
    lineage,
    checkpointed: flag,
  }),
  alive: object({ epoch: count, run: text, sentAt: number, promised: count, incarnation: text, position }),
  gaveUp: object({ epoch: count }),
  ask: object({ id: text, epoch: count }),
  would: object({
    id: text,
    willing: flag,
    why: text,
    promised: count,
    incarnation: text,
    position,
    mayLead: flag,
    priority: number,
  }),
  promise: object({ id: text, epoch: count, forced: flag }),
  promised: object({ id: text, epoch: count, log }),
  refused: object({ id: text, epoch: count, promised: count, why: text }),
  handover: object({ epoch: count, log }),
  forget: object({ incarnation: text, nonce: text }),
  forgotten: object({ incarnation: text, nonce: text, epoch: count }),
};

const leaderRecord = object({
  epoch: count,
  member: text,
  incarnation: text,
  timeline: count,
  sync: list(text),
  k: count,
  degradedSince: optional(object({ lsn: text, at: text })),
  eligible: list(text),
  since: text,
  cause: oneOf(LEADER_CAUSES),
  evidence: textMap,
  renewal: count,
});

const memberRecord = object({
  name: text,
  incarnation: text,
  api: text,
  host: text,
  port: count,
  tags,
  versions: object({ matriarch: text, postgres: text }),
  reads: optional(count),
  state: oneOf(MEMBER_STATES),
  position,
  reason: text,
});

const identity = object({ systemIdentifier: orNull(text), by: text });
const historyEntry = object({
  epoch: count,
  member: text,
  timeline: count,
  lineage,
  cause: oneOf(LEADER_CAUSES),
  at: text,
  evidence: textMap,
});

/** A record of the store. One of a newer format may mean something else by the same fields. */
function readRecord<T>(json: unknown, check: Check): T | undefined {
  return refusalOf(json) === undefined ? read(json, check) : undefined;
}

function read<T>(json: unknown, check: Check): T | undefined {
  const value = fromJson(json);
  return check(value) ? (value as T) : undefined;
}

/** Each undefined for anything that is not of its shape: the sender or the store holds rubbish, and it is passed over and logged. */
export const readMessage = (json: unknown): Message | undefined => {
  const kind = (json as { kind?: unknown } | null)?.kind;
  if (typeof kind !== 'string' || !Object.hasOwn(MESSAGES, kind)) return undefined;
  return read<Message>(json, MESSAGES[kind as Message['kind']]);
};
export const readLeaderRecord = (json: unknown): LeaderRecord | undefined => readRecord(json, leaderRecord);
export const readMemberRecord = (json: unknown): MemberRecord | undefined => readRecord(json, memberRecord);
export const readIdentity = (json: unknown): Identity | undefined => readRecord(json, identity);
export const readHistoryEntry = (json: unknown): HistoryEntry | undefined => readRecord(json, historyEntry);
