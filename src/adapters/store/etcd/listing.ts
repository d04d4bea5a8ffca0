import { decodeKeyValue, type StoredText, toNumber } from './encoding.ts';
import type { CallLimits, EtcdClient } from './etcd-client.ts';
import { EtcdFailure } from './failures.ts';
import { type Page, readPage, readSummary } from './requests.ts';

/** Keys a page. The second one when an answer was too large: as many of the largest values as a message holds. */
const PAGES = { many: { limit: 128, shrinkable: true }, few: { limit: 2, shrinkable: false } } as const;

/** Everything under a prefix as it stood at one revision. */
export interface Listing {
  readonly clusterId: string;
  readonly revision: number;
  /** By key. */
  readonly entries: readonly StoredText[];
}

/** What tells that a listing is out of date: a write raises `highest`, and a deletion lowers `count`. */
export interface Summary {
  readonly clusterId: string;
  readonly revision: number;
  readonly count: number;
  readonly highest: number;
}

/** Lists what begins with `root` + `prefix`; the keys come without `root`. */
export async function list(client: EtcdClient, root: string, prefix: string, limits: CallLimits): Promise<Listing> {
  try {
    return await listInPages(client, root, prefix, limits, PAGES.many);
  } catch (error) {
    if (!(error instanceof EtcdFailure) || error.remedy !== 'smaller') throw error;
    return listInPages(client, root, prefix, limits, PAGES.few);
  }
}

export async function summarize(client: EtcdClient, root: string, limits: CallLimits): Promise<Summary> {
  const { clusterId, revision, body } = await client.call(readSummary(root), limits);
  const newest = pairsOf(body, root)[0];
  return { clusterId, revision, count: toNumber(body.count), highest: newest?.version ?? 0 };
}

/** The pairs of a `range`; an empty field is left out by the gateway. */
export function pairsOf(body: unknown, root: string): StoredText[] {
  const { kvs = [] } = (body ?? {}) as { kvs?: unknown };
  return Array.isArray(kvs) ? kvs.map((pair) => decodeKeyValue(pair, root)) : [];
}

async function listInPages(client: EtcdClient, root: string, prefix: string, limits: CallLimits, page: Page): Promise<Listing> {
  const first = await client.call(readPage(root + prefix, page), limits);
  const { clusterId, revision } = first;
  const entries = pairsOf(first.body, root);
  for (let { body } = first; body.more === true; ) {
    const after = root + (entries.at(-1)?.key ?? '');
    ({ body } = await client.call(readPage(root + prefix, { ...page, from: { after, revision } }), limits));
    entries.push(...pairsOf(body, root));
  }
  return { clusterId, revision, entries };
}
