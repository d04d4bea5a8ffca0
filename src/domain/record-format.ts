import type { MemberRecord } from './member.ts';

/**
 * The format of the records in the store. It is raised when a release changes what a field means, or adds one that must not be
 * overlooked; fields that may be overlooked are added without it. docs/decisions/0010-versions-side-by-side.md
 */
export const RECORD_FORMAT = 1;

/** The format that a record says it has. Those of before there were formats have the first. */
export function formatOf(json: unknown): number {
  const format = (json as { readonly format?: unknown } | null)?.format;
  return typeof format === 'number' && Number.isSafeInteger(format) && format >= 1 ? format : 1;
}

/** Undefined when this release reads the record; else why it must leave it alone. */
export function refusalOf(json: unknown, reads = RECORD_FORMAT): string | undefined {
  const format = formatOf(json);
  return format <= reads ? undefined : `it is of format ${format}, and this release of Matriarch reads up to ${reads}`;
}

/** What a writer of this release writes: nothing that a member of the cluster, silent ones included, cannot read. */
export function formatToWrite(members: readonly Pick<MemberRecord, 'reads'>[], own = RECORD_FORMAT): number {
  return Math.min(own, ...members.map(({ reads }) => reads ?? 1));
}
