import { encode, encodeEnd } from './encoding.ts';

/** One call of the gateway. */
export interface EtcdRequest {
  /** Such as `kv/range`, below `/v3/`. */
  readonly path: string;
  readonly body: unknown;
  /** True: carried out twice it does no harm, so that it may be sent again, and to several endpoints at once. */
  readonly repeatable: boolean;
  /** True: where its answer is too large, its sender asks for less. Others then ask elsewhere. */
  readonly shrinkable?: boolean;
}

export function readKey(key: string): EtcdRequest {
  return { path: 'kv/range', body: { key: encode(key) }, repeatable: true };
}

export interface Page {
  /** Keys, at most. */
  readonly limit: number;
  readonly shrinkable: boolean;
  /** Begin behind that key, and read as of that revision. Default: from the first key, now. */
  readonly from?: { readonly after: string; readonly revision: number };
}

/** A page of what begins with `prefix`, by key. */
export function readPage(prefix: string, { limit, shrinkable, from }: Page): EtcdRequest {
  const start = from === undefined ? encode(prefix) : encode(`${from.after}\0`);
  const at = from === undefined ? {} : { revision: String(from.revision) };
  const body = { key: start, range_end: encodeEnd(prefix), limit: String(limit), ...at };
  return { path: 'kv/range', body, repeatable: true, shrinkable };
}

/** How many keys there are, and which was written last: all that tells whether a listing is still the present. */
export function readSummary(prefix: string): EtcdRequest {
  const newestFirst = { sort_order: 'DESCEND', sort_target: 'MOD', limit: '1', keys_only: true };
  return { path: 'kv/range', body: { key: encode(prefix), range_end: encodeEnd(prefix), ...newestFirst }, repeatable: true };
}

export function writeKey(key: string, text: string, lease?: string): EtcdRequest {
  return { path: 'kv/put', body: putOf(key, text, lease), repeatable: false };
}

/** Writes where `expected` stands (null: nothing); otherwise reads what stands there. */
export function swapKey(key: string, expected: number | null, text: string, lease?: string): EtcdRequest {
  const base64 = encode(key);
  const compare =
    expected === null
      ? [{ key: base64, target: 'CREATE', result: 'EQUAL', create_revision: '0' }]
      : [
          { key: base64, target: 'MOD', result: 'EQUAL', mod_revision: String(expected) },
          // A missing key has mod_revision 0.
          { key: base64, target: 'CREATE', result: 'GREATER', create_revision: '0' },
        ];
  return {
    path: 'kv/txn',
    body: {
      compare,
      success: [{ request_put: putOf(key, text, lease) }],
      failure: [{ request_range: { key: base64 } }],
    },
    repeatable: false,
  };
}

export function deleteKey(key: string): EtcdRequest {
  return { path: 'kv/deleterange', body: { key: encode(key) }, repeatable: false };
}

/** Repeatable: a lease that nobody uses expires. */
export function grantLease(seconds: number): EtcdRequest {
  return { path: 'lease/grant', body: { TTL: String(seconds) }, repeatable: true };
}

export function prolongLease(id: string): EtcdRequest {
  return { path: 'lease/keepalive', body: { ID: id }, repeatable: true };
}

export function watchFrom(prefix: string, revision: number): EtcdRequest {
  const create_request = { key: encode(prefix), range_end: encodeEnd(prefix), start_revision: String(revision) };
  return { path: 'watch', body: { create_request }, repeatable: true };
}

function putOf(key: string, text: string, lease: string | undefined) {
  return { key: encode(key), value: encode(text), ...(lease === undefined ? {} : { lease }) };
}
