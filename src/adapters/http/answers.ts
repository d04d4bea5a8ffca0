import { ERRORS, type ErrorCode, MatriarchError } from '#domain/errors.ts';
import type { JsonResponse } from './router.ts';

/** The statuses of the codes that are not the server's fault; the rest is 500. */
const STATUS_BY_CODE: Partial<Readonly<Record<ErrorCode, number>>> = {
  'api.notFound': 404,
  'api.forbidden': 403,
  'api.malformed': 400,
  'api.tooLarge': 413,
  'usage.invalidArgument': 400,
  'config.malformed': 400,
  'config.invalid': 400,
  'config.owned': 400,
  'config.conflict': 409,
  'member.unknown': 404,
  'request.refused': 409,
  'request.unsafe': 409,
  'request.timeout': 504,
  'cluster.noLeader': 503,
  'store.unavailable': 503,
};

export function errorAnswer(code: ErrorCode, message: string, status = STATUS_BY_CODE[code] ?? 500): JsonResponse {
  return { status, json: { error: { code, message, next: ERRORS[code].next } } };
}

/** An error that is none of the catalogue's may hold anything, a secret as well: the caller learns only that it happened. */
export function thrownAnswer(error: unknown): JsonResponse {
  if (error instanceof MatriarchError) return errorAnswer(error.code, error.message);
  return errorAnswer('internal.bug', 'the request failed unexpectedly; the log of the agent says more');
}
