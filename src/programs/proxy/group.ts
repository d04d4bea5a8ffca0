/** What a group of messages is, as far as its end or its loss is concerned. Bits. */
export const GROUP = {
  /** Every statement in it only reads: it may be sent again when nothing of its answer has been passed on. */
  reads: 1 << 0,
  /** It may end a transaction: whether it did is unknown when its answer is lost. */
  ends: 1 << 1,
  /** It may begin a transaction block. */
  begins: 1 << 2,
} as const;

/** A named statement that a group prepares or closes; undone when the server does not confirm it. */
export interface Preparation {
  /** Grows with every one that is made. */
  readonly number: number;
  readonly undo: () => void;
  confirmed: boolean;
  /** What the server has accepted then. */
  readonly statement: { accepted: boolean } | null;
  /** The server's answer to it is not the client's to see. */
  readonly silent: boolean;
}

/** A question of the proxy's own, whose answer no client sees. */
export interface Question {
  onRow?(message: Buffer): void;
  /** `error`: the message of the first ErrorResponse. */
  onDone(error: Buffer | null): void;
}

/** What the server answers with one ReadyForQuery: a Query, a FunctionCall, or messages up to their Sync. */
export class Group {
  flags: number;
  /** Something of its answer has been passed on. */
  touched = false;
  /** Its Sync has been sent; always true for a Query. */
  synced: boolean;
  readonly question: Question | null;
  /** Where it ends in what is kept of the messages in flight. */
  endsAt = 0;
  parses: Preparation[] | null = null;
  closes: Preparation[] | null = null;
  /** The server warned that a commit in it is not on its standby; what follows must not look like success. */
  doubtful = false;
  failed: Buffer | null = null;
  /** The client has been told that it failed: the rest of the answer is not passed on. */
  isMuted = false;
  /** It has no client any more: nothing at all of the answer is passed on. */
  isDropped = false;

  constructor(flags: number, synced: boolean, question: Question | null) {
    this.flags = flags;
    this.synced = synced;
    this.question = question;
  }

  confirmParse(): boolean {
    return confirm(this.parses);
  }

  confirmClose(): boolean {
    return confirm(this.closes);
  }

  /** What was skipped because of an error did not happen. Last first, so that each undo finds what it left. */
  undoUnconfirmed(): void {
    if (this.parses === null && this.closes === null) return;
    const made = [...(this.parses ?? []), ...(this.closes ?? [])].sort((a, b) => b.number - a.number);
    for (const one of made) if (!one.confirmed) one.undo();
  }
}

/** True: the answer is the client's. */
function confirm(list: Preparation[] | null): boolean {
  const next = list?.find((one) => !one.confirmed);
  if (next === undefined) return true;
  next.confirmed = true;
  if (next.statement !== null) next.statement.accepted = true;
  return !next.silent;
}
