import { rubbish, toNumber } from './encoding.ts';
import { EtcdFailure, type EtcdFailureCode, type Remedy } from './failures.ts';

/** An answer of etcd: what every one has, and the rest as it came. */
export interface EtcdAnswer {
  readonly clusterId: string;
  /** Of the whole of etcd when it answered. */
  readonly revision: number;
  readonly body: Readonly<Record<string, unknown>>;
}

interface Known {
  readonly code: EtcdFailureCode;
  readonly remedy: Remedy;
}

/**
 * Errors by which etcd says that nothing was done: it gives them before it proposes anything, or in place of applying it
 * (etcd 3.4, etcdserver/api/v3rpc/rpctypes/error.go). Every other one, `request timed out` above all, leaves a write open.
 */
const HARMLESS: readonly (readonly [RegExp, Known])[] = [
  [/etcdserver: no leader/, { code: 'store.unavailable', remedy: 'elsewhere' }],
  [/etcdserver: too many requests/, { code: 'store.unavailable', remedy: 'elsewhere' }],
  [/etcdserver: invalid auth token/, { code: 'store.denied', remedy: 'login' }],
  [/etcdserver: user name is empty/, { code: 'store.denied', remedy: 'login' }],
  [/etcdserver: revision of auth store is old/, { code: 'store.denied', remedy: 'login' }],
  [/etcdserver: authentication failed/, { code: 'store.denied', remedy: 'none' }],
  [/etcdserver: permission denied/, { code: 'store.denied', remedy: 'none' }],
  [/etcdserver: requested lease not found/, { code: 'store.unavailable', remedy: 'lease' }],
  [/etcdserver: mvcc: database space exceeded/, { code: 'store.full', remedy: 'none' }],
  [/etcdserver: request is too large/, { code: 'store.tooLarge', remedy: 'none' }],
];
/** A read that is larger than a message between etcd and its gateway may be. */
const TOO_LARGE = /message larger than max/;

/** Throws EtcdFailure for whatever is not an answer of etcd that says what was done. */
export function readAnswer(status: number, text: string): EtcdAnswer {
  const json = parse(status, text);
  const message = errorMessage(json);
  if (message !== undefined) throw toAnsweredFailure(message);
  // Streaming calls (keepalive, watch) wrap their answers.
  const body = (json.result ?? json) as Record<string, unknown>;
  if (status !== 200) return rubbish(`HTTP ${status}`);
  const header = body.header as { cluster_id?: unknown; revision?: unknown } | undefined;
  // `{}` would otherwise read as "no such key".
  if (typeof header !== 'object' || header === null || typeof header.cluster_id !== 'string')
    return rubbish('an answer without a header');
  return { clusterId: header.cluster_id, revision: toNumber(header.revision), body };
}

export function toAnsweredFailure(message: string): EtcdFailure {
  const known = HARMLESS.find(([pattern]) => pattern.test(message))?.[1];
  if (known !== undefined) return new EtcdFailure(known.code, message, { remedy: known.remedy, harmless: true });
  return new EtcdFailure('store.unavailable', message, { remedy: TOO_LARGE.test(message) ? 'smaller' : 'elsewhere' });
}

function parse(status: number, text: string): Record<string, unknown> {
  try {
    const json: unknown = JSON.parse(text);
    if (typeof json === 'object' && json !== null) return json as Record<string, unknown>;
  } catch {
    // Said below.
  }
  return rubbish(`HTTP ${status}, ${text.length === 0 ? 'and nothing in it' : 'not JSON'}`);
}

/** 3.4 and 3.5 write `error`, 3.6 only `message`; streaming calls an object. */
function errorMessage(json: Record<string, unknown>): string | undefined {
  const { error, message } = json;
  if (typeof error === 'string') return error;
  if (typeof error === 'object' && error !== null) return String((error as { message?: unknown }).message);
  return typeof message === 'string' ? message : undefined;
}
