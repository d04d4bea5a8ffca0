import { toAnsweredFailure } from './answers.ts';
import { decodeKeyValue, rubbish, type StoredText } from './encoding.ts';

/** What happened to one key: written, or (text null) deleted or expired. */
export interface WatchEvent {
  readonly key: string;
  readonly text: string | null;
  /** Of the change; several keys may change in one. */
  readonly revision: number;
}

export type WatchFrame =
  | { readonly kind: 'created'; readonly clusterId: string }
  | { readonly kind: 'events'; readonly events: readonly WatchEvent[] }
  /** The revision to go on from is no longer kept: list again. */
  | { readonly kind: 'compacted' };

/** Of one line of a watch. Throws EtcdFailure for the end that etcd puts to it, and for what it never writes. */
export function readFrame(line: string, root: string): WatchFrame {
  let json: { result?: Record<string, unknown>; error?: { message?: unknown } };
  try {
    json = JSON.parse(line);
  } catch {
    return rubbish('a watch that is not JSON');
  }
  if (json?.error !== undefined) throw toAnsweredFailure(String(json.error?.message ?? json.error));
  const { result } = json ?? {};
  if (typeof result !== 'object' || result === null) return rubbish('a watch without a result');
  if (result.compact_revision !== undefined) return { kind: 'compacted' };
  if (result.canceled === true) throw toAnsweredFailure(String(result.cancel_reason ?? 'the watch was canceled'));
  if (result.created === true) {
    const { cluster_id } = (result.header ?? {}) as { cluster_id?: unknown };
    return typeof cluster_id === 'string' ? { kind: 'created', clusterId: cluster_id } : rubbish('a watch without a header');
  }
  const events = Array.isArray(result.events) ? result.events : [];
  return { kind: 'events', events: events.map((event) => toEvent(event, root)) };
}

function toEvent(json: unknown, root: string): WatchEvent {
  const { type, kv } = (json ?? {}) as { type?: unknown; kv?: unknown };
  const { key, text, version }: StoredText = decodeKeyValue(kv, root);
  return { key, text: type === 'DELETE' ? null : text, revision: version };
}
