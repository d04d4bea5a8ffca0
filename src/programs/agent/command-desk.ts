import { randomUUID } from 'node:crypto';
import { fail } from '#domain/errors.ts';

/** Nobody waits longer than this for the end of what was asked; the request goes on. */
const TIMEOUT_MS = 110_000;

/** Pairs people's requests with the core's answers. */
export class CommandDesk {
  readonly #waiting = new Map<string, (ok: boolean, text: string) => void>();

  /** `begin` feeds the command. Errors: `request.refused` with the core's reason, `request.timeout`. */
  ask(begin: (id: string) => void, signal: AbortSignal): Promise<string> {
    const id = randomUUID();
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    const timer = setTimeout(() => reject(refusal('request.timeout', `no end within ${TIMEOUT_MS / 1000} s`)), TIMEOUT_MS);
    const over = () => {
      clearTimeout(timer);
      this.#waiting.delete(id);
    };
    this.#waiting.set(id, (ok, text) => {
      over();
      if (ok) resolve(text);
      else reject(refusal('request.refused', text));
    });
    signal.addEventListener('abort', over, { once: true });
    begin(id);
    return promise;
  }

  answer(id: string, ok: boolean, text: string): void {
    this.#waiting.get(id)?.(ok, text);
  }
}

function refusal(code: 'request.refused' | 'request.timeout', text: string): unknown {
  try {
    return fail(code, text);
  } catch (error) {
    return error;
  }
}
