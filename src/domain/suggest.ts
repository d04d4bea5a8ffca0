/** The number of single-letter changes between two words; neighbours that changed places count as one. */
function distance(a: string, b: string): number {
  let before: number[] = [];
  let previous = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let row = 1; row <= a.length; row++) {
    const current = [row];
    for (let column = 1; column <= b.length; column++) {
      const same = a[row - 1] === b[column - 1];
      let cost = Math.min(
        (previous[column] ?? 0) + 1,
        (current[column - 1] ?? 0) + 1,
        (previous[column - 1] ?? 0) + (same ? 0 : 1),
      );
      if (row > 1 && column > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1])
        cost = Math.min(cost, (before[column - 2] ?? 0) + 1);
      current.push(cost);
    }
    before = previous;
    previous = current;
  }
  return previous[b.length] ?? 0;
}

/** The known word that was probably meant, or undefined. Words of people, so at most a hundred characters are looked at. */
export function closest(word: string, known: readonly string[]): string | undefined {
  const typed = word.slice(0, 100).toLowerCase();
  const ranked = known
    .map((candidate) => ({ candidate, cost: distance(typed, candidate.toLowerCase()) }))
    .filter(({ candidate, cost }) => cost <= Math.max(1, Math.floor(Math.max(candidate.length, typed.length) / 3)))
    .sort((a, b) => a.cost - b.cost);
  return ranked[0]?.candidate;
}

/** `; did you mean X?`, or nothing. */
export function suggest(word: string, known: readonly string[]): string {
  const meant = closest(word, known);
  return meant === undefined ? '' : `; did you mean ${meant}?`;
}
