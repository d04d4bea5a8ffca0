import { connect } from 'node:tls';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { PEER_PROTOCOL } from '#adapters/http/api-server.ts';
import { openSqliteStore } from '#adapters/store/sqlite/sqlite-store.ts';
import { issueCertificate } from '#adapters/tls/authority.ts';
import { clientTls } from '#adapters/tls/contexts.ts';
import { readAuthority } from '#adapters/tls/tls-files.ts';
import type { Store } from '#domain/ports/store.ts';
import type { Explanation } from '#domain/status.ts';
import { TestCluster } from '../support/test-cluster.ts';

// Agents of this release beside a later one, which is played by a store that holds more and a peer that says more.

let cluster: TestCluster;
let store: Store;

beforeAll(async () => {
  cluster = await TestCluster.start();
  store = await openSqliteStore({ file: cluster.paths.store });
});
afterAll(async () => {
  await store?.close();
  await cluster?.destroy();
});

async function leaderRecord(): Promise<{ readonly value: Record<string, unknown>; readonly version: number }> {
  const found = await store.get('leader');
  if (found === undefined) throw new Error('there is no leader record');
  return { value: found.value as Record<string, unknown>, version: found.version };
}

async function explained(name: string): Promise<string> {
  const { lines } = await cluster.get<Explanation>(name, '/explain');
  return lines.map((line) => `${line.rule}: ${line.text}`).join('\n');
}

test('records say their format, and what every agent reads', async () => {
  expect((await leaderRecord()).value.format).toBe(1);
  for (const { value } of await store.list('members/')) expect(value).toMatchObject({ format: 1, reads: 1 });
  expect((await store.get('identity'))?.value).toMatchObject({ format: 1 });
});

test('fields that nobody here knows change nothing', async () => {
  const { value, version } = await leaderRecord();
  expect(await store.compareAndSet('leader', version, { ...value, flavour: { of: 'the future' } })).toMatchObject({ ok: true });
  const before = await cluster.healthy();
  await cluster.post(before, '/switchover');
  const after = await cluster.healthy();
  expect(after).not.toBe(before);
  expect((await leaderRecord()).value.member).toBe(after);
});

test('a leader record of a newer format is left alone, said, and never taken for none', async () => {
  const leader = await cluster.healthy();
  const { value } = await leaderRecord();
  await store.put('leader', { ...value, format: 99 });
  for (const name of cluster.names)
    await cluster.until(
      'the reason',
      async () => (await explained(name)).includes('leader in the store is left alone: it is of format 99') || undefined,
      10_000,
    );
  // The leader would record S without this one, and may not; writes go on by the other one.
  const victim = cluster.standbys(leader)[0] ?? '';
  await cluster.killMember(victim);
  await cluster.sql('insert into numbered select $$f$$, generate_series(1, 100)');
  await cluster.until(
    'a failed read',
    async () => (await explained(leader)).includes('the store does not answer') || undefined,
    30_000,
  );
  const { value: untouched } = await leaderRecord();
  expect(untouched).toEqual({ ...value, format: 99 });
  expect(await cluster.leader()).toBe(leader);

  await store.put('leader', value);
  await cluster.until(
    'S without the dead one',
    async () => ((await cluster.status(leader))?.leader?.sync.length === 1 ? true : undefined),
    30_000,
  );
  expect(await explained(leader)).not.toContain('format');
  cluster.startAgent(victim);
  await cluster.healthy();
});

test('a peer that says more is understood as far as possible, and keeps its link', async () => {
  const authority = await readAuthority(cluster.paths.authority);
  const tls = { ca: authority.certificate, ...(await issueCertificate(authority, { name: 'n9', hosts: [] })) };
  const member = cluster.description.members[0];
  const socket = connect({ ...clientTls(tls, 'n1'), host: '127.0.0.1', port: member?.apiPort ?? 0 });
  const heard = Promise.withResolvers<void>();
  let text = '';
  socket.on('error', heard.reject);
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString();
    // The confirmation of both frames: neither has ended the link.
    if (text.endsWith('\r\n\r\n2\n')) heard.resolve();
  });
  socket.write(`GET /peer HTTP/1.1\r\nhost: n1\r\nconnection: upgrade\r\nupgrade: ${PEER_PROTOCOL}\r\n\r\n`);
  socket.write(`${JSON.stringify({ kind: 'forecast', weather: 'fair' })}\n`);
  socket.write(`${JSON.stringify({ kind: 'ask', id: 'x', epoch: 1, colour: 'blue' })}\n`);
  await heard.promise;
  socket.destroy();
  expect(await cluster.agentLog('n1')).toContain('n9 sends messages that this release does not read: forecast');
  await cluster.healthy();
});
