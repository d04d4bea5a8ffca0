import type { PostgresSecrets } from './postgres-options.ts';

const OPEN = '# gate: open';
const CLOSED = '# gate: closed';

/**
 * pg_hba.conf. The agent gets in through the socket and members over TLS at all times; clients only while the gate is open. "all"
 * does not match replication (manual, section 21.1), so nobody but the members' role streams.
 */
export function accessRules(secrets: PostgresSecrets, open: boolean): string {
  const agent = quoteName(secrets.agent.name);
  const replication = quoteName(secrets.replication.name);
  const always = [
    `local   all         ${agent}                      scram-sha-256`,
    `host    all         ${agent}       all            reject`,
    `hostssl replication ${replication} all            scram-sha-256`,
    '# pg_rewind',
    `hostssl postgres    ${replication} all            scram-sha-256`,
    `host    all         ${replication} all            reject`,
    `local   all         ${replication}                reject`,
  ];
  const clients = [
    'local   all         all                            scram-sha-256',
    'hostssl all         all all scram-sha-256',
  ];
  return `${['# Written by Matriarch.', open ? OPEN : CLOSED, ...always, ...(open ? clients : [])].join('\n')}\n`;
}

export function isGateOpen(rules: string): boolean {
  return rules.split('\n').includes(OPEN);
}

function quoteName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}
