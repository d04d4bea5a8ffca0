import { ordinalOf } from './ordinal-of.ts';

/** The volumes that each member's pod keeps, by the names of their templates. A member has a log volume where the cluster asks for one. */
export const VOLUMES = ['data', 'wal'] as const;
export type Volume = (typeof VOLUMES)[number];

/** The claim of a member, as the StatefulSet's controller names it. */
export function claimName(volume: Volume, member: string): string {
  return `${volume}-${member}`;
}

/** Of which of a cluster's volumes is it a claim? */
export function volumeOfClaim(cluster: string, claim: string): Volume | undefined {
  return VOLUMES.find(
    (volume) => claim.startsWith(`${volume}-`) && ordinalOf(cluster, claim.slice(volume.length + 1)) !== undefined,
  );
}
