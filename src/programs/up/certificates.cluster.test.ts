import { chmodSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { callApi } from '#adapters/http/call-api.ts';
import { certificatesOf, fingerprintOf } from '#adapters/tls/check-identity.ts';
import { clusterPaths } from '#domain/config/cluster-paths.ts';
import type { AgentStatus } from '#domain/status.ts';
import { type StatusDocument, statusDocumentSchema } from '#domain/status-document.ts';
import { runMatriarch } from '#programs/cli/run-matriarch.ts';
import { connectReadWrite, NumberedWriter, readUrl } from '../../../test/support/numbered-writer.ts';

// The certificates of a cluster in a folder of `up`, changed while everything goes on. The tests build on each other.

const MEMBERS = ['n1', 'n2', 'n3'];
let folder: string;
let dir: string;
let url: string;
let series = 0;
const run = (...args: string[]) => runMatriarch([...args, '--dir', dir]);

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'matriarch-certificates-'));
  chmodSync(folder, 0o755);
  dir = join(folder, 'c');
  expect(await run('up', '--detach')).toMatchObject({ code: 0, stderr: '' });
  url = (await status()).connection.direct ?? '';
  await sql('create table numbered (series text, number int)');
});
afterAll(async () => {
  await run('down', '--purge');
  await rm(folder, { recursive: true });
});

async function status(): Promise<StatusDocument> {
  return statusDocumentSchema.parse(JSON.parse((await run('status', '-o', 'json')).stdout));
}

/** By psql, which reads `ca.crt` anew each time, as every new client does. */
async function sql(text: string, ...target: string[]): Promise<string> {
  const result = await runMatriarch(['psql', '--dir', dir, ...target, '--', '-XAtc', text]);
  if (result.code !== 0) throw new Error(result.stderr);
  return result.stdout.trim();
}

/** What each agent says of the certificates that it uses. */
async function inUse(): Promise<readonly AgentStatus['self']['tls'][]> {
  const paths = clusterPaths(dir);
  const asked = MEMBERS.map((name) => callApi({ socketPath: paths.member(name).socket }, 'GET', '/status'));
  return (await Promise.all(asked)).map(({ json }) => (json as AgentStatus).self.tls);
}

const fingerprintsIn = (file: string) => certificatesOf(readFileSync(file, 'utf8')).map(fingerprintOf);
const walsenders = () => sql('select pid from pg_stat_replication order by pid');

/** The errors of a client that writes meanwhile, and of those that come anew all the while and know no more than the URL. */
async function whileClientsWork(happens: () => Promise<void>): Promise<readonly string[]> {
  const writer = new NumberedWriter(url, `c${++series}`);
  const refused: string[] = [];
  let over = false;
  const comeAnew = async () => {
    while (!over) {
      const found = await connectReadWrite(readUrl(url));
      if (found === undefined) refused.push('no server let a new client in');
      await found?.client.end();
      await sleep(20);
    }
  };
  const newcomers = comeAnew();
  writer.start();
  try {
    await writer.advance(20, 10_000);
    await happens();
    await writer.advance(20, 10_000);
  } finally {
    over = true;
    await writer.stop();
    await newcomers;
  }
  const found = await connectReadWrite(readUrl(url));
  if (found === undefined) throw new Error('nobody takes writes');
  expect(await writer.missing(found.client)).toEqual([]);
  await found.client.end();
  return [...writer.errors, ...refused];
}

test.each(['first', 'second'])('the authority is rotated by one command, the %s time', async () => {
  const { ca } = clusterPaths(dir);
  const before = await inUse();
  const senders = await walsenders();
  const { epoch, leader } = await status();
  const old = fingerprintsIn(ca);
  const errors = await whileClientsWork(async () => {
    const rotated = await run('certificates', 'rotate');
    expect(rotated).toMatchObject({ code: 0 });
    expect(rotated.stdout).toMatch(/Stage 1 of 3.*Stage 2 of 3.*Stage 3 of 3.*by the new authority alone/s);
  });
  expect(errors).toEqual([]);
  const present = fingerprintsIn(ca);
  expect([present.length, present[0] === old[0]]).toEqual([1, false]);
  for (const [index, { certificate, authorities }] of (await inUse()).entries()) {
    expect(authorities).toEqual(present);
    expect(certificate).not.toBe(before[index]?.certificate);
    expect(certificate).toBe(fingerprintsIn(join(clusterPaths(dir).member(MEMBERS[index] ?? '').tls, 'member.crt'))[0]);
  }
  expect(await walsenders()).toBe(senders);
  expect(await status()).toMatchObject({ epoch, leader, connection: { direct: url } });
});

test('every server shows new clients the new certificates, at the URL and the ca.crt of before', async () => {
  for (const name of MEMBERS)
    expect(await sql('select ssl from pg_stat_ssl where pid = pg_backend_pid()', '--member', name)).toBe('t');
});

test('the certificates are renewed by the same authority', async () => {
  const before = await inUse();
  const errors = await whileClientsWork(async () => {
    expect(await run('certificates', 'renew')).toMatchObject({ code: 0 });
  });
  expect(errors).toEqual([]);
  for (const [index, { certificate, authorities }] of (await inUse()).entries()) {
    expect(certificate).not.toBe(before[index]?.certificate);
    expect(authorities).toEqual(before[index]?.authorities);
  }
});

test('replication, the links between the agents and a new start live by the new certificates', async () => {
  expect(await run('switchover')).toMatchObject({ code: 0 });
  expect(await run('down')).toMatchObject({ code: 0 });
  expect(await run('up', '--detach')).toMatchObject({ code: 0, stderr: '' });
  const { members } = await status();
  expect(members.map((member) => member.state).sort()).toEqual(['primary', 'streaming', 'streaming']);
  expect(Number(await sql('select count(*) from numbered'))).toBeGreaterThan(100);
});
