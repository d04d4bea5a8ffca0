import { expect, test } from 'vitest';
import { accessRules, identityMap, isGateOpen, withAgentLine, withAgentMap, withDeclared } from './access-file.ts';
import { formatConninfo, passfileLine } from './conninfo.ts';
import { isDiskFull } from './job-error.ts';

const SECRETS = {
  superuser: { name: 'postgres', password: 'a' },
  agent: { name: 'matriarch_agent', password: 'b' },
  replication: { name: 'matriarch_replication', password: 'c' },
};
const PARTS = { secrets: SECRETS, certified: [], hba: [], socketUsers: ['root', 'postgres'] };
const lines = (open: boolean) =>
  accessRules(PARTS, open)
    .split('\n')
    .filter((line) => /^(local|host)/.test(line));

test('the gate is the lines for everybody, behind those that keep clients from the roles of members', () => {
  expect(isGateOpen(accessRules(PARTS, true))).toBe(true);
  expect(isGateOpen(accessRules(PARTS, false))).toBe(false);
  expect(isGateOpen('')).toBe(false);
  const closed = lines(false);
  expect(closed.some((line) => line.split(/\s+/)[2] === 'all')).toBe(false);
  expect(lines(true).slice(0, closed.length)).toEqual(closed);
  expect(
    lines(true)
      .slice(closed.length)
      .every((line) => /^(local|hostssl) +all +all .*scram-sha-256$/.test(line)),
  ).toBe(true);
});

test('what people declare counts while the gate is open, before what lets everybody in and behind what is the members’', () => {
  const hba = ['hostssl all +staff all reject'];
  const declared = (open: boolean) =>
    accessRules({ ...PARTS, hba, certified: ['app'] }, open)
      .trimEnd()
      .split('\n');
  expect(declared(false)).not.toContain(hba[0]);
  const at = declared(true).indexOf(hba[0] ?? '');
  expect(
    declared(true)
      .slice(0, at)
      .some((line) => line.includes('# gate: open')),
  ).toBe(true);
  expect(
    declared(true)
      .slice(1, at)
      .filter((line) => !line.startsWith('#')),
  ).toEqual(lines(false));
  expect(declared(true).length - at).toBe(5);
  expect(
    withDeclared(accessRules({ ...PARTS, certified: ['app'] }, true), hba)
      .trimEnd()
      .split('\n'),
  ).toEqual(declared(true));
  expect(withDeclared(accessRules(PARTS, false), hba)).toBe(accessRules(PARTS, false));
});

test('nobody gets in without a password, but the agent through its socket, as one of its own users', () => {
  const [agent, ...others] = lines(true);
  expect(agent).toMatch(/^local +all +"matriarch_agent" +peer map=matriarch-agent$/);
  expect(others.every((line) => /(scram-sha-256|reject)$/.test(line))).toBe(true);
  expect(
    identityMap({ ...PARTS, certified: ['app'] })
      .split('\n')
      .slice(1, -1),
  ).toEqual([
    'matriarch-agent "root" "matriarch_agent"',
    'matriarch-agent "postgres" "matriarch_agent"',
    'matriarch-proxy "matriarch proxy" "app"',
  ]);
});

test('an agent whose user has no name logs in by its password', () => {
  const rules = accessRules({ ...PARTS, socketUsers: [] }, true);
  expect(rules).toMatch(/^local +all +"matriarch_agent" +scram-sha-256$/m);
  expect(rules).not.toContain('peer');
});

test('files of a release before are taken over, with what else is in them', () => {
  const before = { ...PARTS, certified: ['app'], socketUsers: [] };
  const now = { ...before, socketUsers: PARTS.socketUsers };
  expect(withAgentLine(accessRules(before, true), now)).toBe(accessRules(now, true));
  expect(withAgentMap(identityMap(before), now)).toBe(identityMap(now));
  expect(withAgentMap(identityMap(now), now)).toBe(identityMap(now));
});

test('names and passwords are escaped', () => {
  expect(formatConninfo({ host: "a'b\\c" })).toBe("host='a\\'b\\\\c'");
  expect(passfileLine({ name: 'a:b', password: 'c\\d:e' })).toBe('*:*:*:a\\:b:c\\\\d\\:e\n');
});

test('a full disk is told wherever it shows', () => {
  expect(isDiskFull(Object.assign(new Error('write'), { code: 'ENOSPC' }))).toBe(true);
  expect(isDiskFull(Object.assign(new Error('could not extend file'), { code: '53100' }))).toBe(true);
  expect(isDiskFull(new Error('pg_basebackup: error: could not write to file "x": No space left on device'))).toBe(true);
  expect(isDiskFull(new Error('disk'))).toBe(false);
});
