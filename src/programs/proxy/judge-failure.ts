import { LoginRefused } from './connect-server.ts';
import { type Refusal, refusal } from './refusals.ts';

/** Of pg_hba.conf: a member that does not lead lets nobody in. */
const NOT_LET_IN = '28000';

/** What it means that a connection could not be opened. */
export interface Failure {
  /** For those who wait. */
  readonly why: Refusal;
  /** As good as no primary: starting up, shutting down, or not there. */
  readonly isAway: boolean;
  /** It will not be otherwise soon. */
  readonly isFinal: boolean;
}

/** @param isLeftAlone the server may be closed to clients for a while, as a member is that is about to lead */
export function judgeFailure(error: Error, isLeftAlone: boolean): Failure {
  if (!(error instanceof LoginRefused))
    return { why: { ...refusal('unreachable'), detail: error.message }, isAway: true, isFinal: false };
  const code = error.fields.get('C') ?? '08006';
  const hint = error.fields.get('H');
  const why = { code, message: error.fields.get('M') ?? error.message, ...(hint === undefined ? {} : { hint }) };
  const isAway = code.startsWith('57P') || (code === NOT_LET_IN && isLeftAlone);
  return { why, isAway, isFinal: !isAway };
}
