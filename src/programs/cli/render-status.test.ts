import { stripVTControlCharacters } from 'node:util';
import { expect, test } from 'vitest';
import type { MemberStatus, StatusDocument } from '#domain/status-document.ts';
import { plain } from './paint.ts';
import { renderStatus } from './render-status.ts';

const NOW = Date.parse('2025-01-01T00:10:00.000Z');

function member(name: string, change: Partial<MemberStatus> = {}): MemberStatus {
  return {
    name,
    role: 'standby',
    state: 'streaming',
    timeline: 3,
    lsn: '0/5000060',
    lagBytes: 0,
    lagMs: 1,
    host: '127.0.0.1',
    port: 5433,
    api: '127.0.0.1:5533',
    agentPid: 10,
    guardPid: 11,
    postgresPid: 12,
    since: '2025-01-01T00:00:00.000Z',
    reason: 'follows n1 (H13)',
    ...change,
  };
}

const HEALTHY: StatusDocument = {
  cluster: 'main',
  epoch: 4,
  leader: 'n1',
  paused: false,
  durability: { mode: 'required', k: 1, sync: ['n2', 'n3'], degradedSince: null },
  connection: { readWrite: 'postgresql://postgres:secret@127.0.0.1:5433/postgres', readOnly: null, direct: null },
  proxy: null,
  members: [member('n1', { role: 'primary', state: 'primary' }), member('n2'), member('n3', { lagBytes: 3 * 2 ** 20 })],
};

test('a healthy cluster fits a narrow terminal and shows no password', () => {
  const text = renderStatus(HEALTHY, NOW, plain);
  expect(text).toMatchInlineSnapshot(`
    "cluster main · leader n1 · epoch 4 · required: 1 of n2, n3 confirms each commit

    MEMBER  ROLE           STATE      SINCE  TIMELINE  LSN        LAG  ADDRESS
    n1      primary        primary    10min         3  0/5000060   0B  127.0.0.1:5433
    n2      standby, sync  streaming  10min         3  0/5000060   0B  127.0.0.1:5433
    n3      standby, sync  streaming  10min         3  0/5000060  3MB  127.0.0.1:5433"
  `);
  expect(text).not.toContain('secret');
  expect(Math.max(...text.split('\n').map((line) => line.length))).toBeLessThanOrEqual(100);
});

test('who is not well says why; a member that does not answer has no figures', () => {
  const text = renderStatus(
    {
      ...HEALTHY,
      paused: true,
      durability: { mode: 'preferred', k: 0, sync: [], degradedSince: { lsn: '0/5000060', at: '2025-01-01T00:05:00.000Z' } },
      members: [
        member('n1', { role: 'primary', state: 'primary' }),
        member('n2', {
          role: 'none',
          state: 'unreachable',
          timeline: null,
          lsn: null,
          lagBytes: null,
          since: null,
          reason: 'its agent does not answer',
        }),
      ],
    },
    NOW,
    plain,
  );
  expect(text).toMatchInlineSnapshot(`
    "cluster main · leader n1 · epoch 4 · preferred, degraded since 2025-01-01T00:05:00.000Z: commits are on the leader alone · paused

    MEMBER  ROLE     STATE        SINCE  TIMELINE  LSN        LAG  ADDRESS
    n1      primary  primary      10min         3  0/5000060   0B  127.0.0.1:5433
    n2      –        unreachable      –         –  –            –  127.0.0.1:5433

    n2: its agent does not answer"
  `);
});

test('colours take no room in the table', () => {
  const coloured = renderStatus(HEALTHY, NOW, (_, text) => `\u001b[31m${text}\u001b[39m`);
  expect(stripVTControlCharacters(coloured)).toBe(renderStatus(HEALTHY, NOW, plain));
});

test('the proxy has a line of its own', () => {
  const proxy = { host: '127.0.0.1', port: 6432, primary: 'n1', clients: 1, waiting: 0, servers: 2, pid: 7 };
  const lineOf = (change: Partial<NonNullable<StatusDocument['proxy']>>) =>
    renderStatus({ ...HEALTHY, proxy: { ...proxy, state: 'serving', ...change } }, NOW, plain)
      .split('\n')
      .find((line) => line.startsWith('proxy'));
  expect(lineOf({})).toBe('proxy 127.0.0.1:6432 · serving · 1 client, 0 waiting · 2 on servers');
  expect(lineOf({ state: 'unreachable', clients: null })).toContain('does not answer');
});
