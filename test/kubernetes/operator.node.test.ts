import { afterAll, beforeAll, describe, expect, type TestContext, test } from 'vitest';
import { OperatedCluster } from './support/operated-cluster.ts';
import { installOperator, scaleOperator } from './support/operator-install.ts';
import { undisturbed as undisturbedBy } from './support/undisturbed.ts';

const RESUME_MS = 60_000;
/** Four rounds of a pod that goes and one that comes, on a crowded machine. */
const ROLL_MS = 280_000;

/** Cannot be changed later. */
const MADE_WITH = { bootstrap: { initdb: { locale: 'en_US.UTF-8' } } };

let cluster: OperatedCluster;
beforeAll(async () => {
  await installOperator();
  cluster = await OperatedCluster.create({
    ...MADE_WITH,
    storage: { size: '1Gi' },
    walStorage: { size: '1Gi' },
    roles: [{ name: 'app' }, { name: 'readers', login: false }],
    databases: [{ name: 'shop', owner: 'app', extensions: ['pgcrypto'] }],
  });
});
afterAll(() => cluster?.destroy());

const undisturbed = (context: TestContext, change: () => Promise<unknown>) => undisturbedBy(cluster, context, change);

const uids = async () => Object.fromEntries((await cluster.pods()).map(({ metadata }) => [metadata.name, metadata.uid]));

/** Each server's own word. */
async function settings(name: string): Promise<readonly string[]> {
  const pods = await cluster.pods();
  return Promise.all(pods.map(async (pod) => (await cluster.psql(pod.metadata.name, `show ${name}`)).trim()));
}

describe('A cluster that the operator looks after', () => {
  test('is there as its resource says, for kubectl too', async () => {
    await cluster.stable();
    const primary = await cluster.primary();
    const [header, row] = (await cluster.kubectl('get', 'pgc')).trim().split('\n');
    expect(header?.split(/\s+/)).toEqual(['NAME', 'PRIMARY', 'READY', 'SERVING', 'PROGRESS', 'AGE']);
    expect(row?.split(/\s+/).slice(0, 5)).toEqual(['db', primary, '3/3', 'True', 'Stable']);
    const { status } = await cluster.resource();
    expect(status).toMatchObject({ primary, instances: 3, readyInstances: 3 });
    expect(status?.members?.map(({ state }) => state).sort()).toEqual(['primary', 'streaming', 'streaming']);
    for (const type of ['Ready', 'Accepted'] as const) expect(await cluster.condition(type)).toMatchObject({ status: 'True' });
    expect(await cluster.condition('Degraded')).toMatchObject({ status: 'False' });
    expect(await cluster.query(`select datcollate from pg_database where datname = 'postgres'`)).toEqual([
      { datcollate: 'en_US.UTF-8' },
    ]);
    for (const { metadata } of await cluster.pods())
      expect(await cluster.exec(metadata.name, 'sh', '-c', 'stat -L -c %m /var/lib/matriarch/*/pg_wal')).toBe(
        '/var/lib/matriarch-wal\n',
      );
  });

  test('serves clients at each of its Services', async () => {
    const from = (await cluster.pods())[0]?.metadata.name ?? '';
    const recovering = (host: string) => cluster.psql(from, 'select pg_is_in_recovery()', host);
    expect(await recovering('db')).toBe('f\n');
    expect(await recovering('db-primary')).toBe('f\n');
    expect(await recovering('db-replica')).toBe('t\n');
  });

  test('has the roles, databases and extensions that are declared, and the passwords of their Secrets', async () => {
    await cluster.until('app gets in', async () =>
      (await cluster.as('app', 'shop', 'select 1')).length === 1 ? true : undefined,
    );
    const [row] = await cluster.as<{ crypt: string }>('app', 'shop', `select encode(digest('x', 'sha1'), 'hex') as crypt`);
    expect(row?.crypt).toMatch(/^11f6ad8ec52a/);

    await cluster.setPassword('another-password', 'db-role-app');
    await cluster.until('app gets in by the new password', () => cluster.as('app', 'shop', 'select 1'));
    await cluster.change({
      roles: [
        { name: 'app', memberOf: ['readers'] },
        { name: 'readers', login: false },
      ],
    });
    await cluster.until('app belongs to the readers', async () => {
      const [found] = await cluster.query<{ is: boolean }>(`select pg_has_role('app', 'readers', 'member') as is`);
      return found?.is ? true : undefined;
    });
  });

  test('gets another password of the superuser without a restart', async (context) => {
    const before = await uids();
    await undisturbed(context, async () => {
      await cluster.setPassword('a-new-password');
      await cluster.until('the superuser gets in by the new password', () => cluster.query('select 1'));
    });
    expect(await uids()).toEqual(before);
  });

  test('gets another authority, stage by stage, without a restart', async (context) => {
    const before = await uids();
    const old = await cluster.trusted();
    await undisturbed(context, async () => {
      await cluster.change({ tls: { rotation: 1 } });
      for (const stage of ['trust', 'issue', 'withdraw'] as const) {
        await cluster.rotationIs(stage);
        await cluster.hasten();
      }
      await cluster.rotationIs(undefined);
      await cluster.stable();
    });
    expect(await uids()).toEqual(before);
    const trusted = await cluster.trusted();
    expect(trusted.match(/BEGIN CERTIFICATE/g)).toHaveLength(1);
    expect(old).not.toContain(trusted);
    // Servers, agents and proxies reach one another anew by what they have now.
    const primary = await cluster.primary();
    const standby = Object.keys(before).find((name) => name !== primary) ?? '';
    await undisturbed(context, async () => {
      await cluster.switchTo(standby);
      await cluster.ledBy(standby);
      await cluster.stable();
    });
    const direct = cluster.directWriter(`by the new authority ${Math.random()}`);
    direct.start();
    await direct.advance(1, RESUME_MS);
    await direct.stop();
  });

  test('does nothing while it is paused, and then renews its pods in turn, the primary last and by a switchover', async (context) => {
    const [before, primary] = [await uids(), await cluster.primary()];
    await undisturbed(context, async () => {
      await cluster.change({ paused: true, resources: { requests: { cpu: '60m', memory: '256Mi' } } });
      await cluster.conditionIs('Progressing', { status: 'False', reason: 'Paused' });
      expect(await uids()).toEqual(before);
      await cluster.change({ paused: false });
      await cluster.stable(ROLL_MS);
    });
    const pods = await cluster.pods();
    const after = await uids();
    for (const name of Object.keys(before)) expect(after[name]).not.toBe(before[name]);
    const times = pods.map(({ metadata }) => [Date.parse(metadata.creationTimestamp), metadata.name] as const);
    expect(times.sort(([one], [other]) => one - other).at(-1)?.[1]).toBe(primary);
    expect(await cluster.primary()).not.toBe(primary);
  });

  test('has parameters that take a restart, of which one is raised and another lowered, in its servers', async (context) => {
    const before = await uids();
    await undisturbed(context, async () => {
      await cluster.change({
        postgresql: { parameters: { max_connections: 120, max_worker_processes: 6, shared_buffers: '96MB', work_mem: '7MB' } },
      });
      await cluster.until(
        'every server has them',
        async () => {
          const found = await Promise.all(
            ['max_connections', 'max_worker_processes', 'shared_buffers', 'work_mem'].map(settings),
          );
          return found.flat().sort().join() === '120,120,120,6,6,6,7MB,7MB,7MB,96MB,96MB,96MB' ? true : undefined;
        },
        ROLL_MS,
      );
      await cluster.stable();
    });
    expect(await uids()).toEqual(before);
  });

  test('is scaled up, and down to where the primary is not, by kubectl scale; a StatefulSet scaled by hand goes back', async (context) => {
    await undisturbed(context, async () => {
      await cluster.scale(4);
      await cluster.stable();
      await cluster.switchTo('db-3');
      await cluster.scale(3);
      await cluster.stable();
      expect(await cluster.primary()).not.toBe('db-3');
      await cluster.kubectl('scale', 'statefulset', cluster.name, '--replicas=4');
      await cluster.until('the StatefulSet is as it was', async () => {
        const { spec } = await cluster.get('statefulset', cluster.name);
        return spec.replicas === 3 ? true : undefined;
      });
      await cluster.stable();
    });
  });

  test('does what the plugin of kubectl is told', async (context) => {
    const names = ['db-0', 'db-1', 'db-2'];
    const started = (member: string) => cluster.psql(member, 'select pg_postmaster_start_time()');
    const writer = await undisturbed(context, async () => {
      const before = await cluster.primary();
      const [next = '', third = ''] = names.filter((name) => name !== before);
      expect(await cluster.plugin('status')).toContain(before);
      expect(await cluster.plugin('explain', before)).toContain(before);
      await cluster.plugin('switchover', '--to', next);
      await cluster.ledBy(next);
      const { members }: { members: { name: string; role: string }[] } = JSON.parse(await cluster.plugin('status', '-o', 'json'));
      expect(members.find(({ role }) => role === 'primary')?.name).toBe(next);
      await cluster.stable();

      const since = await started(third);
      await cluster.plugin('restart', third);
      expect(await started(third)).not.toBe(since);
      await cluster.plugin('reinit', third, '--yes');
      await cluster.stable();
      expect(await cluster.psql(third, 'select pg_is_in_recovery()')).toBe('t\n');

      await cluster.plugin('pause');
      expect(await cluster.statusOf(next)).toMatchObject({ paused: true });
      await cluster.plugin('resume');
      expect(await cluster.statusOf(next)).toMatchObject({ paused: false });
      expect(await cluster.plugin('psql', '--', '-Atc', 'select pg_is_in_recovery()')).toBe('f\n');
      const logs = await cluster.plugin('logs', next);
      expect(logs).toContain(`"member":"${next}"`);
      expect(logs).toContain('LOG:');
    });
    const primary = await cluster.primary();
    const other = names.find((name) => name !== primary) ?? '';
    await cluster.plugin('failover', '--to', other, '--yes');
    await cluster.ledBy(other);
    await cluster.stable();
    expect(await cluster.missing(writer)).toEqual([]);
    await expect(cluster.plugin('restart', 'db-7')).rejects.toThrow('db-7');
  });

  test('gets larger volumes without a restart, and no smaller ones', async (context) => {
    const before = await uids();
    await undisturbed(context, async () => {
      await cluster.change({ storage: { size: '2Gi' }, walStorage: { size: '2Gi' } });
      await cluster.until('the volumes have grown', async () => {
        const claims: { status: { capacity?: { storage?: string } } }[] = (await cluster.get('pvc')).items;
        const grown = claims.filter(({ status }) => status.capacity?.storage === '2Gi');
        return grown.length >= 6 ? true : undefined;
      });
      await cluster.stable();
      const { spec } = await cluster.get('statefulset', cluster.name);
      expect(spec.volumeClaimTemplates[0].spec.resources.requests.storage).toBe('2Gi');
      await cluster.change({ storage: { size: '1Gi' } });
      const { message } = await cluster.conditionIs('Accepted', { status: 'False', reason: 'Refused' });
      expect(message).toContain('spec.storage.size: a volume cannot shrink from 2Gi to 1Gi');
      await cluster.change({ storage: { size: '2Gi' } });
      await cluster.conditionIs('Accepted', { status: 'True' });
    });
    expect(await uids()).toEqual(before);
  });

  test('fails over while there is no operator, and is looked after again when there is one', async () => {
    const primary = await cluster.primary();
    await scaleOperator(0);
    try {
      await cluster.kubectl('delete', 'pod', primary, '--grace-period=0', '--force');
      await cluster.ledByAnother(primary);
      await cluster.healed();
    } finally {
      await scaleOperator(1);
    }
    const leader = await cluster.primary();
    await cluster.until('the status says who leads', async () =>
      (await cluster.resource()).status?.primary === leader ? true : undefined,
    );
  });

  test('says that an image cannot be pulled, serves on, and heals by another one', async (context) => {
    await undisturbed(context, async () => {
      await cluster.change({ image: 'localhost/matriarch:none' });
      const condition = await cluster.until('the trouble is told', async () => {
        const found = await cluster.condition('Degraded');
        return found?.message.includes('Image') ? found : undefined;
      });
      expect(condition).toMatchObject({ status: 'True', reason: 'MembersMissing' });
      expect(await cluster.condition('Ready')).toMatchObject({ status: 'True' });
      await cluster.change({ image: null });
      await cluster.stable(ROLL_MS);
    });
  });

  test('makes a Secret again that is gone, before anybody needs it to start', async (context) => {
    await undisturbed(context, async () => {
      const standby = (await cluster.pods()).map(({ metadata }) => metadata.name).find((name) => name !== 'db-0') ?? '';
      await cluster.kubectl('delete', 'secret', 'db-member-tls');
      await cluster.kubectl('delete', 'pod', standby, '--grace-period=0', '--force');
      await cluster.stable(ROLL_MS);
    });
  });

  test('asks for a Secret that it must not draw anew', async () => {
    const secret = await cluster.kubectl('get', 'secret', 'db-authority', '-o', 'json');
    await cluster.kubectl('delete', 'secret', 'db-authority');
    await cluster.change({ monitoring: { podMonitor: true } });
    const { message } = await cluster.conditionIs('Progressing', { status: 'True', reason: 'Failed' });
    expect(message).toContain('Secret db-authority');
    await cluster.restore(secret);
    await cluster.change({ monitoring: null });
    await cluster.stable();
  });

  test('is deleted, and found again with its data by a resource of the same name; then deleted with everything', async () => {
    await cluster.query(`insert into numbered values ('deletion', 1)`);
    await cluster.kubectl('delete', 'pgc', cluster.name);
    await cluster.until('its pods are gone', async () => ((await cluster.pods()).length === 0 ? true : undefined));
    expect((await cluster.get('pvc')).items.length).toBeGreaterThanOrEqual(6);
    await cluster.declareAll({ ...MADE_WITH, storage: { size: '2Gi' }, walStorage: { size: '2Gi' }, deletionPolicy: 'delete' });
    await cluster.stable(ROLL_MS);
    await cluster.until('its clients get in', () => cluster.query('select 1'));
    expect(await cluster.query(`select number from numbered where series = 'deletion'`)).toEqual([{ number: 1 }]);

    await cluster.kubectl('delete', 'pgc', cluster.name, '--timeout=120s');
    for (const kind of ['pvc', 'secret', 'configmap', 'lease', 'statefulset', 'pod'])
      await cluster.until(`every ${kind} is gone`, async () => {
        const { items } = await cluster.get(kind, '-l', `matriarch.dev/cluster=${cluster.name}`);
        return items.length === 0 ? true : undefined;
      });
  });
});
