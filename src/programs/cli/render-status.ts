import { formatBytes, formatDuration } from '#domain/config/quantity.ts';
import type { MemberStatus, StatusDocument } from '#domain/status-document.ts';
import type { Paint, Style } from './paint.ts';
import { type Column, renderTable } from './table.ts';

const COLUMNS: readonly Column[] = [
  { title: 'MEMBER' },
  { title: 'ROLE' },
  { title: 'STATE' },
  { title: 'SINCE', align: 'right' },
  { title: 'TIMELINE', align: 'right' },
  { title: 'LSN' },
  { title: 'LAG', align: 'right' },
  { title: 'ADDRESS' },
];

function styleOf(member: MemberStatus): Style {
  if (member.state === 'unreachable' || member.state === 'failed') return 'red';
  if (member.role === 'primary') return member.state === 'primary' ? 'green' : 'yellow';
  return member.state === 'streaming' ? 'none' : 'yellow';
}

function row(member: MemberStatus, document: StatusDocument, now: number, paint: Paint): string[] {
  const confirms = document.durability.sync.includes(member.name) && document.durability.k > 0;
  return [
    member.name,
    member.role === 'none' ? '–' : confirms && member.role === 'standby' ? 'standby, sync' : member.role,
    member.state,
    member.since === null ? '–' : formatDuration(Math.max(0, now - Date.parse(member.since))),
    String(member.timeline ?? '–'),
    member.lsn ?? '–',
    member.lagBytes === null ? '–' : formatBytes(member.lagBytes),
    `${member.host}:${member.port}`,
  ].map((cell, index) => (index === 1 || index === 2 ? paint(styleOf(member), cell) : cell));
}

/** In one line, what holds for a commit now. */
function describeDurability({ durability }: StatusDocument): string {
  if (durability.mode === null) return 'durability unknown';
  if (durability.mode === 'async') return 'async: no commit waits for a standby';
  if (durability.degradedSince !== null)
    return `${durability.mode}, degraded since ${durability.degradedSince.at}: commits are on the leader alone`;
  if (durability.k === 0) return `${durability.mode}: no standby confirms commits`;
  return `${durability.mode}: ${durability.k} of ${durability.sync.join(', ')} confirms each commit`;
}

function describeProxy(
  { host, port, state, clients, waiting, servers }: NonNullable<StatusDocument['proxy']>,
  paint: Paint,
): string {
  const style: Style = state === 'serving' ? 'green' : state === 'holding' ? 'yellow' : 'red';
  const counts =
    clients === null ? [] : [`${clients} ${clients === 1 ? 'client' : 'clients'}, ${waiting} waiting`, `${servers} on servers`];
  return [`proxy ${paint('bold', `${host}:${port}`)}`, paint(style, PROXY_WORDS[state]), ...counts].join(' · ');
}

const PROXY_WORDS: Readonly<Record<NonNullable<StatusDocument['proxy']>['state'], string>> = {
  serving: 'serving',
  holding: 'holding work until there is a primary',
  withoutPrimary: 'without a primary',
  draining: 'ending',
  unreachable: 'does not answer; `matriarch logs proxy` may say why',
};

/** The screen of `status`: one line of the cluster, a table of its members, and why whoever is not well is not. */
export function renderStatus(document: StatusDocument, now: number, paint: Paint): string {
  const leader = document.leader === null ? paint('red', 'no leader') : `leader ${paint('bold', document.leader)}`;
  const head = [
    `cluster ${paint('bold', document.cluster)}`,
    leader,
    ...(document.epoch === null ? [] : [`epoch ${document.epoch}`]),
    paint(document.durability.degradedSince === null ? 'none' : 'yellow', describeDurability(document)),
    ...(document.paused ? [paint('yellow', 'paused')] : []),
  ];
  const table = renderTable(
    COLUMNS,
    document.members.map((member) => row(member, document, now, paint)),
    paint,
  );
  const well = (member: MemberStatus) =>
    member.state === 'streaming' || (member.state === 'primary' && member.name === document.leader);
  const reasons = document.members
    .filter((member) => !well(member))
    .map((member) => `${paint(styleOf(member), member.name)}: ${member.reason}`);
  const proxy = document.proxy === null ? [] : ['', describeProxy(document.proxy, paint)];
  return [head.join(' · '), '', table, ...proxy, ...(reasons.length > 0 ? ['', ...reasons] : [])].join('\n');
}
