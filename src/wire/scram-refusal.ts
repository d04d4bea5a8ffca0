/** As PostgreSQL words it. It goes to the client as an ErrorResponse of severity FATAL. */
export interface ScramRefusal {
  readonly ok: false;
  /** SQLSTATE. */
  readonly code: string;
  readonly message: string;
  readonly detail?: string;
}

/** Carries a refusal out of the reading of a message; never leaves this layer. */
export class ScramError extends Error {
  readonly refusal: ScramRefusal;

  constructor(code: string, message: string, detail?: string) {
    super(message);
    this.refusal = { ok: false, code, message, ...(detail === undefined ? {} : { detail }) };
  }
}

export function malformed(detail: string): ScramError {
  return new ScramError('08P01', 'malformed SCRAM message', detail);
}

/** What `read` gives, or the refusal it threw. */
export function orRefusal<T>(read: () => T): T | ScramRefusal {
  try {
    return read();
  } catch (error) {
    if (error instanceof ScramError) return error.refusal;
    throw error;
  }
}
