import { readFileSync, writeFileSync } from 'node:fs';
import type { Client } from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { certificatesOf, fingerprintOf } from '#adapters/tls/check-identity.ts';
import { connectReadWrite, NumberedWriter, readUrl } from '../support/numbered-writer.ts';
import { TestMachines } from '../support/test-machines.ts';

// One cluster of members with files of their own, through what happens to machines. The tests build on each other.

let machines: TestMachines;
const THREE = ['n1', 'n2', 'n3'];
let series = 0;

beforeAll(async () => {
  machines = await TestMachines.start();
  const client = await connect();
  await client.query('create table numbered (series text, number bigint, primary key (series, number))');
  await client.end();
});
afterAll(() => machines?.destroy());

async function connect(): Promise<Client> {
  const url = readUrl(await machines.url(await machines.leader()));
  const found = await machines.until('a connection', () => connectReadWrite(url));
  return found.client;
}

interface Walsender {
  readonly name: string;
  readonly pid: number;
  readonly since: string;
}

async function walsenders(): Promise<readonly Walsender[]> {
  const client = await connect();
  try {
    const { rows } = await client.query<Walsender>(
      'select application_name as name, pid, backend_start::text as since from pg_stat_replication order by 1',
    );
    return rows;
  } finally {
    await client.end();
  }
}

/** Returns the errors that an application saw meanwhile; every row that it was told of must be there. */
async function underWrites(happens: () => Promise<void>): Promise<readonly string[]> {
  const writer = new NumberedWriter(await machines.url(await machines.leader()), `m${++series}`);
  writer.start();
  try {
    await writer.advance(20, 10_000);
    await happens();
    await writer.advance(20, 30_000);
  } finally {
    await writer.stop();
  }
  const client = await connect();
  try {
    expect(await writer.missing(client)).toEqual([]);
  } finally {
    await client.end();
  }
  return writer.errors;
}

test('every member shows the whole cluster, the others over mutual TLS', async () => {
  for (const name of THREE) {
    const document = await machines.document(name);
    expect(document.members.map((member) => [member.name, member.agentPid])).toEqual(
      THREE.map((one) => [one, machines.agentPid(one)]),
    );
  }
  const config = machines.configOf('n2');
  expect(await machines.must('psql', '--config', config, '--', '-XAtc', 'select pg_is_in_recovery()')).toBe('f\n');
  expect(await machines.must('explain', '--config', config)).toMatch(/n1 (follows|leads)[\s\S]*n3 (follows|leads)/);
  const elsewhere = await machines.run('logs', 'n1', '--config', config);
  expect(elsewhere.stderr).toContain('matriarch: member.elsewhere: n1 runs on 127.0.0.1');
  expect(elsewhere.code).toBe(3);
});

test('an agent is restarted as systemd does it: no statement fails', async () => {
  for (const name of THREE) {
    const before = await machines.status(name);
    const errors = await underWrites(() => machines.restartAgent(name));
    expect(errors).toEqual([]);
    await machines.healthy(THREE);
    const after = await machines.status(name);
    expect(after?.self.postgresPid).toBe(before?.self.postgresPid);
    expect(after?.leader).toMatchObject({ epoch: before?.leader?.epoch, member: before?.leader?.member });
  }
});

const rotate = (...more: string[]) => machines.run('certificates', 'rotate', '--dir', machines.admin.dir, ...more);
const authoritiesOf = (file: string) => certificatesOf(readFileSync(file, 'utf8')).map(fingerprintOf);

test('the authority is rotated under writes: no statement fails, no replication connection is dropped', async () => {
  const before = await walsenders();
  const [old] = authoritiesOf(machines.admin.ca);
  const errors = await underWrites(async () => {
    expect((await rotate()).stdout).toContain('Stage 1 of 3');
    // The files are here and not there yet: nothing goes on.
    expect(await rotate()).toMatchObject({ code: 5, stderr: expect.stringContaining('tls.notApplied') });
    for (const text of ['Stage 2 of 3', 'Stage 3 of 3', 'by the new authority alone']) {
      for (const name of THREE) machines.install(name);
      const said = await machines.until('the next stage', async () => {
        const { code, stdout } = await rotate();
        return code === 0 ? stdout : undefined;
      });
      expect(said).toContain(text);
    }
  });
  expect(errors).toEqual([]);
  expect(await walsenders()).toEqual(before);
  const [present, ...others] = authoritiesOf(machines.admin.ca);
  expect(present).not.toBe(old);
  expect(others).toEqual([]);
  for (const name of THREE) expect((await machines.status(name))?.self.tls.authorities).toEqual([present]);
});

test('replication and the links between the agents are made anew with the new certificates', async () => {
  const to = THREE.find((name) => name !== 'n1') ?? '';
  const leader = await machines.leader();
  await machines.must('switchover', '--config', machines.configOf(leader));
  await machines.healthy(THREE);
  for (const name of THREE) await machines.restartAgent(name);
  await machines.healthy(THREE);
  expect((await machines.document(to)).members.every((member) => member.state !== 'unreachable')).toBe(true);
});

test('files that do not belong together are refused, and the old ones stay', async () => {
  const before = (await machines.status('n2'))?.self.tls;
  await machines.must('certificates', 'renew', '--dir', machines.admin.dir);
  writeFileSync(`${machines.root}/n2/etc/tls/member.crt`, readFileSync(`${machines.admin.machine('n3').tls}/member.crt`));
  await machines.until(
    'the refusal',
    async () => (await machines.must('explain', 'n2', '--config', machines.configOf('n2'))).includes('are refused') || undefined,
  );
  expect((await machines.status('n2'))?.self.tls).toEqual(before);
  for (const name of THREE) machines.install(name);
  await machines.until(
    'the renewed certificate',
    async () => (await machines.status('n2'))?.self.tls.certificate !== before?.certificate || undefined,
  );
  await machines.healthy(THREE);
});

test('the leader is stopped for good: it hands over first, and its agent ends', async () => {
  const leader = await machines.leader();
  const others = THREE.filter((name) => name !== leader);
  const errors = await underWrites(async () => {
    const result = await machines.run('stop', '--config', machines.configOf(leader));
    expect(result).toMatchObject({ code: 0 });
    expect(result.stderr).toContain('hands the lead over');
    expect(others.some((name) => result.stdout.includes(`${leader} has ended; ${name} leads epoch `))).toBe(true);
    expect(await machines.agentEnd(leader)).toBe(0);
  });
  expect(errors.filter((error) => !/terminat|closed|Connection/i.test(error))).toEqual([]);
  expect(await machines.must('stop', '--config', machines.configOf(leader))).toContain('does not run');
  expect(await machines.run('status', '--config', machines.configOf(leader))).toMatchObject({ code: 3 });
  machines.startAgent(leader);
  await machines.healthy(THREE);
});

async function slots(): Promise<readonly string[]> {
  const client = await connect();
  try {
    const { rows } = await client.query<{ name: string }>('select slot_name as name from pg_replication_slots order by 1');
    return rows.map((row) => row.name.split('_')[1] ?? row.name);
  } finally {
    await client.end();
  }
}

test('a member joins and leaves under writes, and nothing is left of it', async () => {
  const errors = await underWrites(async () => {
    await machines.must('machines', 'add', '--dir', machines.admin.dir, machines.address('n4'));
    machines.install('n4');
    machines.startAgent('n4');
    const leader = await machines.healthy([...THREE, 'n4']);
    const config = machines.configOf(leader);
    expect(await machines.run('forget', 'n4', '--config', config)).toMatchObject({
      code: 4,
      stderr: expect.stringContaining('n4 runs'),
    });
    await machines.must('stop', '--config', machines.configOf('n4'));
    expect(await machines.must('forget', 'n4', '--config', config)).toContain('n4 has left');
    await machines.healthy(THREE);
    await machines.until('no slot', async () => (await slots()).length === 2 || undefined);
    await machines.must('machines', 'remove', '--dir', machines.admin.dir, 'n4');
  });
  expect(errors).toEqual([]);
  for (const name of THREE) expect((await machines.document(name)).members.map((member) => member.name)).toEqual(THREE);
  const leader = await machines.leader();
  expect((await machines.status(leader))?.leader?.eligible).toEqual(THREE);
  // Nor does it come back with the next leader.
  await machines.must('switchover', '--config', machines.configOf(leader));
  await machines.healthy(THREE);
  expect((await slots()).length).toBe(2);
  expect((await machines.run('forget', 'n4', '--config', machines.configOf('n1'))).stderr).toContain('member.unknown');
});

test('a standby moves to another address', async () => {
  const leader = await machines.leader();
  const moving = THREE.find((name) => name !== leader) ?? '';
  const errors = await underWrites(async () => {
    await machines.must('machines', 'address', '--dir', machines.admin.dir, machines.address(moving, 4));
    await machines.must('stop', '--config', machines.configOf(moving));
    await machines.agentEnd(moving);
    machines.install(moving);
    machines.startAgent(moving);
    await machines.healthy(THREE);
  });
  expect(errors).toEqual([]);
  const { members } = await machines.document(leader);
  expect(machines.address(moving, 4)).toContain(`127.0.0.1:${members.find((member) => member.name === moving)?.port}:`);
  await machines.must('switchover', '--to', moving, '--config', machines.configOf(leader));
  await machines.healthy(THREE);
});
