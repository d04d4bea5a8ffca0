/** Undefined: it is no member of this cluster. */
export function ordinalOf(cluster: string, member: string): number | undefined {
  const match = member.startsWith(`${cluster}-`) ? /^(0|[1-9]\d{0,3})$/.exec(member.slice(cluster.length + 1)) : null;
  return match === null ? undefined : Number(match[1]);
}
