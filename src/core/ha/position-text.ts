import { formatLsn } from '#domain/lsn.ts';
import type { Position } from '#domain/position.ts';

/** `timeline:LSN`, for people. */
export function positionText(position: Position): string {
  return `${position.timeline}:${formatLsn(position.lsn)}`;
}
