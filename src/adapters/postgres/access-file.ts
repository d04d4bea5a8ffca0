import { PROXY_LOGIN_NAME, PROXY_MAP } from '#domain/proxy-names.ts';
import type { ServerMemory } from './server-context.ts';

const OPEN = '# gate: open';
const CLOSED = '# gate: closed';
/** The map of pg_ident.conf by which the agent is known through the socket. */
const AGENT_MAP = 'matriarch-agent';
const DECLARED = '# declared';
const DECLARED_END = '# end of declared';

/** What both files can express as an exact name in every release: with a slash in front it would be a pattern (16 and later). */
const EXPRESSIBLE = /^[^/\p{C}\p{Zl}\p{Zp}\ufffd][^\p{C}\p{Zl}\p{Zp}\ufffd]*$/u;

export function isExpressible(name: string): boolean {
  return EXPRESSIBLE.test(name);
}

type AccessParts = Pick<ServerMemory, 'secrets' | 'certified' | 'hba' | 'socketUsers'>;
type AgentParts = Pick<ServerMemory, 'secrets' | 'socketUsers'>;

/**
 * pg_hba.conf. The agent gets in through the socket and members over TLS at all times; clients only while the gate is open. "all"
 * does not match replication (manual, section 21.1), so nobody but the members' role streams. The first line that fits a connection is
 * the only one that counts: so `certified` names none who could log in by a password, and what people declare goes before both.
 */
export function accessRules(parts: AccessParts, open: boolean): string {
  const { secrets, certified, hba } = parts;
  const agent = quoteName(secrets.agent.name);
  const replication = quoteName(secrets.replication.name);
  const always = [
    agentLine(parts),
    `host    all         ${agent}       all            reject`,
    `hostssl replication ${replication} all            scram-sha-256`,
    '# pg_rewind',
    `hostssl postgres    ${replication} all            scram-sha-256`,
    `host    all         ${replication} all            reject`,
    `local   all         ${replication}                reject`,
  ];
  const clients = [
    DECLARED,
    ...hba,
    DECLARED_END,
    ...certified.filter(isExpressible).map((name) => `hostssl all ${quoteName(name)} all cert map=${PROXY_MAP}`),
    'local   all         all                            scram-sha-256',
    'hostssl all         all all scram-sha-256',
  ];
  return `${['# Written by Matriarch.', open ? OPEN : CLOSED, ...always, ...(open ? clients : [])].join('\n')}\n`;
}

/**
 * The socket is in a folder that only these users of the machine can enter, so that who connects is known without a password: whatever
 * becomes of that, the agent gets in. Where they have no name that PostgreSQL could look up, it takes the password.
 */
function agentLine({ secrets, socketUsers }: AgentParts): string {
  const method = socketUsers.length === 0 ? 'scram-sha-256' : `peer map=${AGENT_MAP}`;
  return `local   all         ${quoteName(secrets.agent.name)}                      ${method}`;
}

/** The rules as another release wrote them, with the line of the agent as it is now. */
export function withAgentLine(rules: string, parts: AgentParts): string {
  const begin = `local   all         ${quoteName(parts.secrets.agent.name)} `;
  return rules
    .split('\n')
    .map((line) => (line.startsWith(begin) ? agentLine(parts) : line))
    .join('\n');
}

/** The rules with other lines of people's in them; all else stays, such as what a process of before knew of the roles. */
export function withDeclared(rules: string, hba: readonly string[]): string {
  const lines = rules.split('\n');
  const [from, to] = [lines.indexOf(DECLARED), lines.indexOf(DECLARED_END)];
  // A closed gate has none.
  if (from < 0 || to < from) return rules;
  return [...lines.slice(0, from + 1), ...hba, ...lines.slice(to)].join('\n');
}

/**
 * pg_ident.conf: who is the agent, and as whom the proxies' certificate logs in. Exact names: a pattern would let in whoever has a
 * certificate of a member.
 */
export function identityMap({ certified, ...parts }: AgentParts & Pick<ServerMemory, 'certified'>): string {
  const proxies = certified.filter(isExpressible).map((name) => `${PROXY_MAP} ${quoteName(PROXY_LOGIN_NAME)} ${quoteName(name)}`);
  return renderMap(parts, proxies);
}

/** The map as another release wrote it, with the agent in it; all else stays. */
export function withAgentMap(map: string, parts: AgentParts): string {
  return renderMap(
    parts,
    map.split('\n').filter((line) => line.startsWith(`${PROXY_MAP} `)),
  );
}

function renderMap({ secrets, socketUsers }: AgentParts, proxies: readonly string[]): string {
  const agent = socketUsers.map((user) => `${AGENT_MAP} ${quoteName(user)} ${quoteName(secrets.agent.name)}`);
  return `${['# Written by Matriarch.', ...agent, ...proxies].join('\n')}\n`;
}

export function isGateOpen(rules: string): boolean {
  return rules.split('\n').includes(OPEN);
}

function quoteName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}
