/** What a server said when it was last asked. */
export type Answer =
  | { readonly kind: 'primary'; readonly timeline: number }
  | { readonly kind: 'standby' }
  /** It was not asked yet, or did not answer in time: it may be anything. */
  | { readonly kind: 'silent' }
  /** Nobody listens there, or it starts or stops: it serves nobody at this moment. */
  | { readonly kind: 'away' };

export interface Known {
  readonly name: string;
  readonly timeline: number;
}

export interface Choice {
  /** Null: nobody takes writes. */
  readonly primary: Known | null;
  /** Several servers of one timeline take writes: their data differ, and only a person can say which are right. */
  readonly rivals: readonly string[];
}

/**
 * The primary is the server that is not in recovery; of several the one of the highest timeline, since a promotion begins a new one
 * (manual, section 26.3.6). Of several with the same one the known primary stays, and none is chosen where none was known. The known
 * primary that is only silent stays until another one of a higher timeline has been promoted.
 */
export function choosePrimary(known: Known | null, answers: ReadonlyMap<string, Answer>): Choice {
  const claims: Known[] = [];
  for (const [name, answer] of answers) {
    if (answer.kind === 'primary') claims.push({ name, timeline: answer.timeline });
    if (answer.kind === 'silent' && name === known?.name) claims.push(known);
  }
  const timeline = Math.max(0, ...claims.map((claim) => claim.timeline));
  const best = claims.filter((claim) => claim.timeline === timeline);
  if (best.length <= 1) return { primary: best[0] ?? null, rivals: [] };
  return { primary: best.find(({ name }) => name === known?.name) ?? null, rivals: best.map(({ name }) => name) };
}
