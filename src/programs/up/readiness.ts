import type { MemberStatus, StatusDocument } from '#domain/status-document.ts';

/** Somebody leads and takes writes, and commits are as safe as the configuration asks for. */
export function takesWrites({ leader, durability, members }: StatusDocument): boolean {
  const member = members.find((one) => one.name === leader);
  if (member?.role !== 'primary' || member.state !== 'primary') return false;
  return durability.mode === 'async' || durability.k > 0 || durability.degradedSince !== null;
}

/** Every member is where it should be. */
export function isComplete(document: StatusDocument): boolean {
  const well = (member: MemberStatus) =>
    member.name === document.leader ? member.role === 'primary' : member.state === 'streaming';
  const proxied = document.proxy === null || document.proxy.state === 'serving';
  return takesWrites(document) && document.members.every(well) && proxied;
}

/** What changes while a cluster makes headway: states, positions, and the figures of clones. */
export function headway({ epoch, members, proxy }: StatusDocument): string {
  return JSON.stringify([epoch, proxy?.state, members.map(({ state, lsn, reason }) => [state, lsn, reason])]);
}

/** `n2: cloning …` for every member whose state or progress is news. */
export function news(before: StatusDocument | undefined, after: StatusDocument): string[] {
  const proxy = after.proxy?.state;
  const ofProxy = proxy === undefined || proxy === 'unreachable' || proxy === before?.proxy?.state ? [] : [`proxy: ${proxy}`];
  const ofMembers = after.members.flatMap((member, index) => {
    const old = before?.members[index];
    if (old?.state === member.state && (member.state !== 'cloning' || old.reason === member.reason)) return [];
    if (member.state === 'unreachable' && old === undefined) return [];
    return [`${member.name}: ${member.state}${member.reason === '' ? '' : ` – ${member.reason}`}`];
  });
  return [...ofMembers, ...ofProxy];
}
