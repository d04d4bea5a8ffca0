import { type ErrorCode, MatriarchError } from '#domain/errors.ts';
import { AnswerTooLarge } from '../http/exchange.ts';
import { REFUSED_CERTIFICATE, UNTRUSTED_CERTIFICATE } from '../tls/tls-error-codes.ts';

export type KubeFailureCode = Extract<ErrorCode, `kubernetes.${string}`>;

/** A `Status`, as the API server answers when something did not work. */
export interface KubeStatus {
  readonly reason: string;
  readonly message: string;
  /** `status.details.causes`: which fields are wrong. */
  readonly fields: readonly string[];
  readonly retryAfterMs: number | undefined;
}

/** One request that brought no answer to be used. */
export class KubeFailure extends MatriarchError {
  declare readonly code: KubeFailureCode;
  /** 0: there was no HTTP answer. */
  readonly status: number;
  readonly reason: string;
  readonly fields: readonly string[];
  /** True: the request certainly changed nothing, so that even a write may be sent again. */
  readonly harmless: boolean;
  /** How long the server wants to be left alone. */
  readonly retryAfterMs: number | undefined;

  constructor(
    code: KubeFailureCode,
    detail: string,
    options: {
      readonly status?: number;
      readonly harmless?: boolean;
      readonly cause?: unknown;
      readonly answer?: KubeStatus;
    } = {},
  ) {
    super(code, detail, options.cause);
    this.status = options.status ?? 0;
    this.reason = options.answer?.reason ?? '';
    this.fields = options.answer?.fields ?? [];
    this.harmless = options.harmless ?? false;
    this.retryAfterMs = options.answer?.retryAfterMs;
  }
}

/** Of an error of the connection. `sent`: the request may have reached the server. */
export function toFailure(error: unknown, sent: boolean): KubeFailure {
  if (error instanceof KubeFailure) return error;
  if (error instanceof AnswerTooLarge) return new KubeFailure('kubernetes.unavailable', error.message);
  const { code = '', message = String(error) } = error as { code?: string; message?: string };
  if (UNTRUSTED_CERTIFICATE.test(code)) return new KubeFailure('kubernetes.untrusted', message, { harmless: true, cause: error });
  // Whoever refuses the certificate does not read the request.
  if (REFUSED_CERTIFICATE.test(code))
    return new KubeFailure('kubernetes.denied', `our certificate: ${code}`, { harmless: true, cause: error });
  return new KubeFailure('kubernetes.unavailable', message === '' ? code : message, { harmless: !sent, cause: error });
}

/** Of an HTTP answer that is no success. A 5xx may have changed something: the store behind the server did not answer in time. */
export function refusal(status: number, answer: KubeStatus): KubeFailure {
  const detail = answer.message === '' ? `HTTP ${status}` : answer.message;
  // An apply of what is of another type than the field: the server did not get as far as its store.
  if (status === 500 && /failed to create typed patch object/.test(detail))
    return new KubeFailure('kubernetes.refused', detail, { status, answer, harmless: true });
  return new KubeFailure(codeOf(status), detail, { status, answer, harmless: status < 500 });
}

function codeOf(status: number): KubeFailureCode {
  switch (status) {
    case 401:
    case 403:
      return 'kubernetes.denied';
    case 404:
      return 'kubernetes.notFound';
    case 409:
      return 'kubernetes.conflict';
    case 410:
      return 'kubernetes.expired';
    case 413:
      return 'kubernetes.tooLarge';
    case 400:
    case 405:
    case 415:
    case 422:
      return 'kubernetes.refused';
    default:
      return 'kubernetes.unavailable';
  }
}
