import { destination, type Logger, pino } from 'pino';
import type { Because } from '#core/ha/effects.ts';
import type { HaState } from '#core/ha/state.ts';

/** Lines of JSON to standard output, written at once: the last words before a crash matter. */
export class AgentLog {
  readonly #logger: Logger;

  constructor(member: string) {
    const sink = destination({ fd: 1, sync: true });
    this.#logger = pino(
      { base: { member }, timestamp: pino.stdTimeFunctions.isoTime, formatters: { level: (level) => ({ level }) } },
      sink,
    );
  }

  /** A decision of the core, with its rule. */
  decision(reason: Because, state: HaState): void {
    this.#logger.info({ rule: reason.rule, epoch: state.record?.value?.epoch ?? 0 }, reason.text);
  }

  info(part: string, text: string): void {
    this.#logger.info({ part }, text);
  }

  warn(part: string, text: string): void {
    this.#logger.warn({ part }, text);
  }

  error(part: string, text: string): void {
    this.#logger.error({ part }, text);
  }
}
