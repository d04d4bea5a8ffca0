import { access, constants } from 'node:fs/promises';
import { fail } from '#domain/errors.ts';

/** Errors: `disk.denied` for a volume that this user cannot write to, whatever a storage driver has made of its modes. */
export async function requireVolume(volume: string): Promise<void> {
  try {
    await access(volume, constants.W_OK | constants.X_OK);
  } catch (error) {
    const { geteuid, getegid } = process;
    fail(
      'disk.denied',
      `the volume at ${volume} cannot be written by user ${geteuid?.()} and group ${getegid?.()}: it has to be theirs, which most storage does for \`fsGroup\``,
      error,
    );
  }
}
