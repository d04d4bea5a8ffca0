/**
 * A question that anybody may have asked on his behalf, and that costs somebody else something: one at a time, whose answer all get who
 * asked meanwhile, and not again within `freshMs`.
 */
export class SharedQuestion<T> {
  readonly #ask: () => Promise<T>;
  readonly #freshMs: number;
  #askedAt = -Infinity;
  #answer: Promise<T> | undefined;

  constructor(ask: () => Promise<T>, freshMs = 0) {
    this.#ask = ask;
    this.#freshMs = freshMs;
  }

  answer(): Promise<T> {
    if (this.#answer !== undefined) return this.#answer;
    const answer = this.#ask();
    this.#answer = answer;
    this.#askedAt = performance.now();
    const over = () => {
      const leftMs = this.#askedAt + this.#freshMs - performance.now();
      if (leftMs <= 0) this.#answer = undefined;
      else setTimeout(over, leftMs).unref();
    };
    answer.then(over, over);
    return answer;
  }
}
