import { chmodSync, mkdtempSync, statfsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { resolveDirectory } from '#adapters/process/processes.ts';
import { chooseServerUser } from '#adapters/process/server-user.ts';
import { socketUsers } from '#adapters/process/socket-users.ts';
import { type CertificateWithKey, createAuthority, issueCertificate } from '#adapters/tls/authority.ts';
import {
  eventually,
  makeTestServer,
  type OptionsChange,
  removeFolder,
  type TestServer,
  type TestServerPlaces,
} from './test-server.ts';

/** Servers without agents: the test decides. All of it lies in one temporary folder, and ends with `end`. */
export class TestServers {
  readonly folder: string;
  readonly #places: TestServerPlaces;
  readonly #servers: TestServer[] = [];

  /** A certificate of the cluster's authority for whatever name. */
  readonly issue: (name: string) => Promise<CertificateWithKey>;

  private constructor(places: TestServerPlaces, issue: TestServers['issue']) {
    this.folder = places.folder;
    this.#places = places;
    this.issue = issue;
  }

  static async open(): Promise<TestServers> {
    const folder = resolveDirectory(mkdtempSync(join(quickFolder(), 'matriarch-pg-')));
    chmodSync(folder, 0o755);
    const owner = (await chooseServerUser()) ?? undefined;
    const authority = await createAuthority({ cluster: 'test' });
    const issue = (name: string) => issueCertificate(authority, { name, hosts: ['127.0.0.1'] });
    const tls = async (member: string) => ({ ca: authority.certificate, ...(await issue(member)) });
    return new TestServers({ folder, owner, socketUsers: await socketUsers(owner), tls }, issue);
  }

  /** A server that has no data directory yet. */
  async add(name: string, change: OptionsChange = {}): Promise<TestServer> {
    const server = await makeTestServer(this.#places, name, change);
    this.#servers.push(server);
    return server;
  }

  /** With a table `t (note text)`, the gate open, and commits that wait for nobody. */
  async primary(name: string, change: OptionsChange = {}): Promise<TestServer> {
    const server = await this.add(name, change);
    await server.do({ kind: 'bootstrap' });
    await server.do({ kind: 'setSync', setting: { sync: [], k: 0 }, wait: false });
    await server.sql('CREATE TABLE t (note text)');
    await server.do({ kind: 'gate', open: true, cut: false });
    return server;
  }

  /** Clones of `primary` that stream from it through their slots. */
  async standbys(primary: TestServer, names: readonly string[], change: OptionsChange = {}): Promise<TestServer[]> {
    const standbys = await Promise.all(names.map((name) => this.add(name, change)));
    await primary.do({ kind: 'slots', keep: standbys.map((standby) => standby.incarnation) });
    await Promise.all(
      standbys.map(async (standby) => {
        await standby.do({ kind: 'clone', upstream: primary.upstreamOf(standby) });
        await standby.do({ kind: 'startStandby', upstream: primary.upstreamOf(standby) });
        await streams(standby);
      }),
    );
    for (const standby of standbys) await primary.caughtUp(standby);
    return standbys;
  }

  /** Ends it and removes its folder; the name may be used again. */
  async remove(server: TestServer): Promise<void> {
    await server.end();
    this.#servers.splice(this.#servers.indexOf(server), 1);
    removeFolder(server.options.memberDir);
  }

  async end(): Promise<void> {
    await Promise.all(this.#servers.map((server) => server.end()));
    if (process.env.KEEP === undefined) removeFolder(this.folder);
  }
}

const SHARED_MEMORY = '/dev/shm';
const ROOM_BYTES = 4 * 2 ** 30;

/** In memory where there is room: initdb, pg_basebackup and pg_rewind sync every file, which is most of what such a test does. */
function quickFolder(): string {
  try {
    const { bavail, bsize } = statfsSync(SHARED_MEMORY);
    return bavail * bsize >= ROOM_BYTES ? SHARED_MEMORY : tmpdir();
  } catch {
    return tmpdir();
  }
}

export async function streams(standby: TestServer): Promise<void> {
  await eventually(async () => {
    const view = await standby.seen('standby');
    if (!view.streaming) throw new Error(`${standby.name} does not stream`);
  });
}
