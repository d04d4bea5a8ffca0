import type { SyncSetting } from '#domain/leader-record.ts';

/**
 * What every server runs that no leader has told otherwise: a name that nobody bears, so that a promotion by any route acknowledges
 * nothing.
 */
export const NOBODY: SyncSetting = { sync: ['matriarch_none'], k: 1 };

/** By major version, the minor one in which commits wait from the first moment on (release notes of 2025-05-08); all later ones do. */
const WAITS_FROM: Readonly<Record<number, number>> = { 13: 21, 14: 18, 15: 13, 16: 9, 17: 5 };

/** Whether no commit of a server of this version (`server_version_num`) overtakes the first reading of the names at its start. */
export function waitsFromTheStart(version: number): boolean {
  const major = Math.floor(version / 10_000);
  return major > 17 || version % 10_000 >= (WAITS_FROM[major] ?? Number.POSITIVE_INFINITY);
}

/** The value of `synchronous_standby_names`. Names are quoted; they are compared without regard to case (manual, section 20.6.2). */
export function formatSync(setting: SyncSetting): string {
  if (setting.k === 0) return '';
  const sync = setting.sync.length === 0 ? NOBODY.sync : setting.sync;
  return `ANY ${setting.k} (${sync.map((name) => `"${name.replaceAll('"', '""')}"`).join(', ')})`;
}

/** Reads what `formatSync` writes; undefined for anything else, such as what a person set. */
export function parseSync(text: string): SyncSetting | undefined {
  if (text === '') return { sync: [], k: 0 };
  const match = /^ANY (\d{1,4}) \(("(?:[^"]|"")+"(?:, "(?:[^"]|"")+")*)\)$/.exec(text);
  if (match?.[1] === undefined || match[2] === undefined) return undefined;
  const sync = [...match[2].matchAll(/"((?:[^"]|"")+)"/g)].map((name) => (name[1] ?? '').replaceAll('""', '"'));
  const setting = { sync, k: Number(match[1]) };
  return formatSync(setting) === text ? setting : undefined;
}

/** Slots of members are told from everybody else's by this prefix; those without it are never touched. */
const SLOT_PREFIX = 'matriarch_';

/** The slot of an incarnation: lower-case letters, digits and underscores, at most 63 (manual, section 27.2.6.1). */
export function slotName(incarnation: string): string {
  return `${SLOT_PREFIX}${incarnation.toLowerCase().replaceAll(/[^a-z0-9_]/g, '_')}`.slice(0, 63);
}

export function isMemberSlot(name: string): boolean {
  return name.startsWith(SLOT_PREFIX);
}
