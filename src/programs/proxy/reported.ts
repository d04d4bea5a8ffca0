import { parameterStatus } from '#wire/encode-backend.ts';

const MAX_KNOWN = 1024;
const known = new Map<string, Reported>();

/** What a server has told of its parameters (GUC_REPORT). Interned: the same values are the same object. */
export class Reported {
  readonly values: ReadonlyMap<string, string>;

  private constructor(values: ReadonlyMap<string, string>) {
    this.values = values;
  }

  static of(values: ReadonlyMap<string, string>): Reported {
    const key = JSON.stringify([...values].sort(([a], [b]) => (a < b ? -1 : 1)));
    const found = known.get(key);
    if (found !== undefined) return found;
    const made = new Reported(new Map(values));
    if (known.size >= MAX_KNOWN) known.delete(known.keys().next().value as string);
    known.set(key, made);
    return made;
  }

  with(name: string, value: string): Reported {
    return this.values.get(name) === value ? this : Reported.of(new Map(this.values).set(name, value));
  }

  /** What a client that was told `told` has to hear to know this. */
  since(told: Reported): Buffer[] {
    if (told === this) return [];
    return [...this.values]
      .filter(([name, value]) => told.values.get(name) !== value)
      .map(([name, value]) => parameterStatus(name, value));
  }
}
