import type { MemberName, MemberRecord } from '#domain/member.ts';

/** Of the agent's API, as a member publishes it: `host:port`. */
export function addressOf(api: string): Address {
  const colon = api.lastIndexOf(':');
  return { host: api.slice(0, colon), port: Number(api.slice(colon + 1)) };
}

interface Address {
  readonly host: string;
  readonly port: number;
}

/** Where the other agents are. An address stays when its member falls silent: it may come back while the store is away. */
export class AddressBook {
  readonly #self: MemberName;
  readonly #known = new Map<MemberName, Address>();

  constructor(self: MemberName) {
    this.#self = self;
  }

  /** `left`: members that are gone for good. */
  learn(members: readonly MemberRecord[], left: readonly MemberName[]): ReadonlyMap<MemberName, Address> {
    for (const name of left) this.#known.delete(name);
    for (const { name, api } of members) {
      if (name !== this.#self) this.#known.set(name, addressOf(api));
    }
    return this.#known;
  }
}
