import type { MemberName } from '#domain/member.ts';
import type { RoleFacts } from '#domain/ports/roles.ts';

export const PROXY_PROTOCOL = 'matriarch-proxy/1';

/** Either end says something at least so often. */
export const BEAT_EVERY_MS = 1000;
/** An end that has said nothing for so long is given up: stopped, cut off, or gone. */
export const SILENCE_MS = 3000;

export interface MemberAddress {
  readonly name: MemberName;
  /** Of its PostgreSQL. */
  readonly host: string;
  readonly port: number;
  /** `host:port` of its agent. */
  readonly api: string;
}

type Fields = Readonly<Record<string, unknown>>;

/** What an agent says of its own server and of the cluster as it sees it. */
export interface AgentView {
  readonly kind: 'view';
  readonly member: MemberName;
  readonly role: 'primary' | 'standby' | 'none';
  /** Its server is the primary, lets clients in, and the proof of its leadership is fresh. */
  readonly serves: boolean;
  /** Of the leader record as it knows it; 0 while it knows none. */
  readonly epoch: number;
  readonly leader: MemberName | null;
  /** Of the leader record: the same leader on the same timeline is the same server process, or its next life, whatever the epoch. */
  readonly timeline: number;
  readonly holding: boolean;
  readonly members: readonly MemberAddress[];
  /** Only for who came by the Unix socket. */
  readonly socketDir?: string;
  /** `max_connections`, and how many of them are kept for superusers and the like; null while its server does not answer. */
  readonly maxConnections: number | null;
  readonly reservedConnections: number | null;
  /** What the configuration of the cluster says of its proxies; theirs to check, since they may be of another release. */
  readonly settings?: Fields;
}

export type AgentMessage =
  | AgentView
  /** The answer to `lookup`. */
  | { readonly kind: 'role'; readonly id: number; readonly facts: RoleFacts | null }
  | { readonly kind: 'role'; readonly id: number; readonly error: string }
  /** Start nothing more here, and say `drained` when nothing runs. */
  | { readonly kind: 'hold'; readonly id: number };

export type ProxyMessage =
  | { readonly kind: 'beat' }
  | { readonly kind: 'lookup'; readonly id: number; readonly role: string; readonly database: string }
  | { readonly kind: 'drained'; readonly id: number };

const isText = (value: unknown): value is string => typeof value === 'string' && value.length <= 4096;
const isCount = (value: unknown): value is number => typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
const isNumber = (value: unknown): value is number => typeof value === 'number' && Number.isFinite(value);
const isFlag = (value: unknown): value is boolean => typeof value === 'boolean';
const orNull = (check: (value: unknown) => boolean) => (value: unknown) => value === null || check(value);
const isObject = (value: unknown): value is Fields => typeof value === 'object' && value !== null && !Array.isArray(value);

/** Undefined for a kind that this release does not know, and for rubbish: passed over. Unknown fields are. */
export function readAgentMessage(json: unknown): AgentMessage | undefined {
  if (!isObject(json)) return undefined;
  switch (json.kind) {
    case 'view':
      return readView(json);
    case 'role':
      if (!isCount(json.id)) return undefined;
      if (isText(json.error)) return { kind: 'role', id: json.id, error: json.error };
      return orNull(isFacts)(json.facts) ? { kind: 'role', id: json.id, facts: json.facts as RoleFacts | null } : undefined;
    case 'hold':
      return isCount(json.id) ? { kind: 'hold', id: json.id } : undefined;
    default:
      return undefined;
  }
}

export function readProxyMessage(json: unknown): ProxyMessage | undefined {
  if (!isObject(json)) return undefined;
  const { kind, id, role, database } = json;
  if (kind === 'beat') return { kind };
  if (kind === 'drained' && isCount(id)) return { kind, id };
  if (kind === 'lookup' && isCount(id) && isText(role) && isText(database)) return { kind, id, role, database };
  return undefined;
}

function readView(json: Fields): AgentView | undefined {
  const { member, role, serves, epoch, leader, timeline, holding, members, socketDir } = json;
  const sound =
    isText(member) &&
    isText(role) &&
    isFlag(serves) &&
    isCount(epoch) &&
    orNull(isText)(leader) &&
    isCount(timeline) &&
    isFlag(holding) &&
    Array.isArray(members) &&
    members.length <= 1000 &&
    members.every(isAddress) &&
    (socketDir === undefined || isText(socketDir)) &&
    orNull(isCount)(json.maxConnections ?? null) &&
    orNull(isCount)(json.reservedConnections ?? null) &&
    (json.settings === undefined || isObject(json.settings));
  return sound ? ({ maxConnections: null, reservedConnections: null, ...json } as unknown as AgentView) : undefined;
}

function isAddress(value: unknown): boolean {
  return isObject(value) && isText(value.name) && isText(value.host) && isCount(value.port) && isText(value.api);
}

function isFacts(value: unknown): boolean {
  return (
    isObject(value) &&
    isText(value.role) &&
    isFlag(value.canLogin) &&
    isFlag(value.superuser) &&
    isFlag(value.replication) &&
    orNull(isText)(value.verifier) &&
    orNull(isNumber)(value.validUntilMs) &&
    isNumber(value.connectionLimit) &&
    orNull(isDatabase)(value.database) &&
    isText(value.digest) &&
    isFlag(value.byCertificate)
  );
}

function isDatabase(value: unknown): boolean {
  return (
    isObject(value) &&
    isText(value.name) &&
    isFlag(value.allowsConnections) &&
    isNumber(value.connectionLimit) &&
    isFlag(value.mayConnect)
  );
}
