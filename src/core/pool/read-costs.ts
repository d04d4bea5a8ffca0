/** Of a power of two, so that a mask finds the place. */
const PLACES = 1024;
/**
 * An estimate follows what is observed by one of these parts of the difference. Of the time the quick runs count more: on a busy machine
 * the others tell of that and not of the statement. Of the size it is the large ones.
 */
const MUCH = 1 / 2;
const LITTLE = 1 / 16;
/** Before so many runs nothing is expected of a statement. */
const RUNS = 3;
/** A statement that takes longer, or answers more, is waited for by nobody else. */
const QUICK_US = 10_000;
const SMALL_BYTES = 16 * 1024;

/**
 * What statements have cost lately, by their shape: how long the server was at it, and how large the answer was. A fixed table in which
 * a newer shape takes the place of an older one. Nothing is allocated after it was made.
 */
export class ReadCosts {
  readonly #shapes = new Int32Array(PLACES);
  readonly #runs = new Uint8Array(PLACES);
  readonly #us = new Float32Array(PLACES);
  readonly #bytes = new Float32Array(PLACES);

  observe(shape: number, us: number, bytes: number): void {
    const at = place(shape);
    if (this.#shapes[at] !== shape) {
      this.#shapes[at] = shape;
      this.#runs[at] = 1;
      this.#us[at] = us;
      this.#bytes[at] = bytes;
      return;
    }
    if ((this.#runs[at] as number) < RUNS) this.#runs[at] = (this.#runs[at] as number) + 1;
    this.#us[at] = mix(this.#us[at] as number, us, MUCH, LITTLE);
    this.#bytes[at] = mix(this.#bytes[at] as number, bytes, LITTLE, MUCH);
  }

  /** How long it is likely to take, in microseconds; `Infinity` for what is not known to be quick and small. */
  expectedUs(shape: number): number {
    const at = place(shape);
    if (this.#shapes[at] !== shape || (this.#runs[at] as number) < RUNS) return Number.POSITIVE_INFINITY;
    const us = this.#us[at] as number;
    return us <= QUICK_US && (this.#bytes[at] as number) <= SMALL_BYTES ? us : Number.POSITIVE_INFINITY;
  }
}

function place(shape: number): number {
  return (shape ^ (shape >>> 16)) & (PLACES - 1);
}

function mix(before: number, now: number, down: number, up: number): number {
  return before + (now - before) * (now < before ? down : up);
}
