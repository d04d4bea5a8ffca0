import { parseResourceQuantity } from '../kubernetes/resource-quantity.ts';
import { parseBytes } from './quantity.ts';

interface Sized {
  readonly bootstrap: { readonly initdb: { readonly walSegmentSizeMb: number } };
  readonly storage: { readonly size: string };
  readonly walStorage?: { readonly size: string } | undefined;
  readonly postgresql: { readonly parameters: Readonly<Record<string, string>> };
}

const MB = 2 ** 20;
/** On a volume of the smallest size that is taken there is room for so many of the usual ones. */
const MIN_SEGMENTS_ON_DISK = 16;
const MIN_SEGMENTS_KEPT = 2;

/** What does not go with files of the log that are so large: with such parameters no server would start, and nothing would say so before. */
export function segmentSizeProblem({ bootstrap, storage, walStorage, postgresql }: Sized): string | undefined {
  const { walSegmentSizeMb } = bootstrap.initdb;
  const { size } = walStorage ?? storage;
  if ((parseResourceQuantity(size) ?? 0) < MIN_SEGMENTS_ON_DISK * walSegmentSizeMb * MB)
    return `takes a volume of at least ${MIN_SEGMENTS_ON_DISK * walSegmentSizeMb}Mi for the write-ahead log`;
  for (const [name, value] of Object.entries(postgresql.parameters)) {
    if (!['min_wal_size', 'max_wal_size'].includes(name.toLowerCase())) continue;
    // Without a unit it is in MB.
    const bytes = parseBytes(value) ?? Number(value) * MB;
    if (bytes < MIN_SEGMENTS_KEPT * walSegmentSizeMb * MB)
      return `takes a ${name} of at least ${MIN_SEGMENTS_KEPT * walSegmentSizeMb}MB`;
  }
  return undefined;
}
