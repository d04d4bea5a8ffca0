import type { ErrorCode } from '#domain/errors.ts';
import { AnswerTooLarge } from '../../http/exchange.ts';
import { REFUSED_CERTIFICATE, UNTRUSTED_CERTIFICATE } from '../../tls/tls-error-codes.ts';

export type EtcdFailureCode = Extract<ErrorCode, `store.${string}`>;

/** What can still be done about a failure. */
export type Remedy =
  /** Another endpoint may answer, or this one a little later. */
  | 'elsewhere'
  /** The token is not known there (any more): authenticate, then the same again. */
  | 'login'
  /** The lease has expired: grant another. */
  | 'lease'
  /** The answer is larger than a message may be: ask for less at a time. */
  | 'smaller'
  /** The whole of etcd would answer the same. */
  | 'none';

/** One request to one endpoint that brought no answer to be used. */
export class EtcdFailure extends Error {
  readonly code: EtcdFailureCode;
  readonly remedy: Remedy;
  /** True: the request certainly changed nothing, so that even a write may be sent again. */
  readonly harmless: boolean;

  constructor(
    code: EtcdFailureCode,
    detail: string,
    options: { readonly remedy?: Remedy; readonly harmless?: boolean; readonly cause?: unknown } = {},
  ) {
    super(detail, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.remedy = options.remedy ?? 'elsewhere';
    this.harmless = options.harmless ?? false;
  }
}

/** Of an error of the connection. `sent`: the request may have reached etcd. */
export function toFailure(error: unknown, sent: boolean): EtcdFailure {
  if (error instanceof EtcdFailure) return error;
  if (error instanceof AnswerTooLarge) return new EtcdFailure('store.unavailable', error.message, { remedy: 'smaller' });
  const { code = '', message = String(error) } = error as { code?: string; message?: string };
  if (UNTRUSTED_CERTIFICATE.test(code)) return new EtcdFailure('store.untrusted', message, { harmless: true, cause: error });
  // Whoever refuses the certificate does not read the request.
  if (REFUSED_CERTIFICATE.test(code))
    return new EtcdFailure('store.denied', `our certificate: ${code}`, { harmless: true, cause: error });
  return new EtcdFailure('store.unavailable', message === '' ? code : message, { harmless: !sent, cause: error });
}
