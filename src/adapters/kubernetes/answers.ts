import type { KubeObject } from '#domain/kubernetes/kube-object.ts';
import type { RawAnswer } from './connection.ts';
import { KubeFailure, type KubeStatus } from './failures.ts';

/** What a server asks for at the most is waited for; beyond it, it is asked again. */
const LONGEST_RETRY_AFTER_MS = 30_000;
const MESSAGE_KEPT = 1000;

/** Of an answer that is a success. Rubbish is no answer: a proxy in between may have made it. */
export function readJson({ text }: Pick<RawAnswer, 'text'>): unknown {
  try {
    const json: unknown = JSON.parse(text);
    if (typeof json === 'object' && json !== null) return json;
  } catch {
    // Told below.
  }
  throw new KubeFailure('kubernetes.unavailable', `what answers there is no API server: ${JSON.stringify(text.slice(0, 80))}`);
}

/** Of an answer that has to be an object as it stands there. */
export function readObject(answer: Pick<RawAnswer, 'text'>): KubeObject {
  const object = readJson(answer) as Partial<KubeObject>;
  if (typeof object.metadata?.name === 'string') return object as KubeObject;
  throw new KubeFailure('kubernetes.unavailable', 'what answers there is no API server: an object without a name');
}

/** Of an answer that is no success: a `Status`, or whatever something in between has answered. */
export function readStatus({ text, headers }: Pick<RawAnswer, 'text' | 'headers'>): KubeStatus {
  const retryAfterMs = readRetryAfter(headers['retry-after']);
  try {
    const { reason, message, details } = JSON.parse(text) as { reason?: unknown; message?: unknown; details?: unknown };
    return {
      reason: typeof reason === 'string' ? reason : '',
      message: typeof message === 'string' ? message.slice(0, MESSAGE_KEPT) : '',
      fields: fieldsOf(details),
      retryAfterMs,
    };
  } catch {
    return { reason: '', message: text.trim().slice(0, 200), fields: [], retryAfterMs };
  }
}

function fieldsOf(details: unknown): readonly string[] {
  const { causes } = (details ?? {}) as { causes?: unknown };
  if (!Array.isArray(causes)) return [];
  return causes.flatMap((cause: { field?: unknown } | null) => (typeof cause?.field === 'string' ? [cause.field] : []));
}

function readRetryAfter(header: string | undefined): number | undefined {
  const seconds = Number(header);
  if (header === undefined || !Number.isFinite(seconds) || seconds < 0) return undefined;
  return Math.min(LONGEST_RETRY_AFTER_MS, seconds * 1000);
}
