import { mkdtempSync, rmSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Authority, createAuthority, issueCertificate } from '../../../tls/authority.ts';
import { EtcdMember } from './etcd-member.ts';
import { freePorts } from './free-ports.ts';

interface Place {
  readonly host: string;
  readonly namespace?: string;
}

export interface EtcdClusterOptions {
  /** Default 1. */
  readonly members?: number;
  /** Where each member listens, and the network namespace it runs in. Default: 127.0.0.1, and this one. */
  readonly places?: readonly Place[];
  /** Clients speak TLS; `clients` true: they must show a certificate of the same authority. */
  readonly tls?: { readonly clients: boolean };
  readonly extraArguments?: readonly string[];
}

/** The files of a client of a cluster with TLS. */
export interface ClientFiles {
  readonly caFile: string;
  readonly certificateFile: string;
  readonly keyFile: string;
}

/** A cluster of etcd of its own: free ports, and its data in a temporary folder. */
export class EtcdCluster {
  readonly folder: string;
  readonly members: readonly EtcdMember[];
  readonly clientFiles: ClientFiles | undefined;

  private constructor(folder: string, members: readonly EtcdMember[], clientFiles: ClientFiles | undefined) {
    this.folder = folder;
    this.members = members;
    this.clientFiles = clientFiles;
  }

  static async start(options: EtcdClusterOptions = {}): Promise<EtcdCluster> {
    const folder = mkdtempSync(join(tmpdir(), 'matriarch-etcd-'));
    const places: readonly Place[] =
      options.places ?? Array.from({ length: options.members ?? 1 }, () => ({ host: '127.0.0.1' }));
    const ports = await freePorts(places.length * 2);
    const names = places.map((_, index) => `e${index + 1}`);
    const peerUrls = places.map(({ host }, index) => `http://${host}:${ports[index * 2]}`);
    const initialCluster = names.map((name, index) => `${name}=${peerUrls[index]}`).join(',');
    const files =
      options.tls === undefined
        ? undefined
        : await writeTls(
            folder,
            places.map(({ host }) => host),
          );
    const members = places.map(({ host, namespace }, index) => {
      const scheme = files === undefined ? 'http' : 'https';
      return new EtcdMember({
        name: names[index] ?? '',
        dataDir: join(folder, names[index] ?? ''),
        clientUrl: `${scheme}://${host}:${ports[index * 2 + 1]}`,
        peerUrl: peerUrls[index] ?? '',
        initialCluster,
        ...(namespace === undefined ? {} : { namespace }),
        extraArguments: [
          ...(files === undefined ? [] : ['--cert-file', files.server.certificate, '--key-file', files.server.key]),
          ...(options.tls?.clients === true && files !== undefined
            ? ['--trusted-ca-file', files.client.caFile, '--client-cert-auth']
            : []),
          ...(options.extraArguments ?? []),
        ],
      });
    });
    const cluster = new EtcdCluster(folder, members, files?.client);
    try {
      await cluster.startAll();
    } catch (error) {
      await cluster.remove();
      throw error;
    }
    return cluster;
  }

  get endpoints(): string[] {
    return this.members.map(({ clientUrl }) => clientUrl);
  }

  member(index: number): EtcdMember {
    const member = this.members[index];
    if (member === undefined) throw new Error(`there is no member ${index}`);
    return member;
  }

  async startAll(): Promise<void> {
    await Promise.all(this.members.map((member) => member.start()));
  }

  async killAll(): Promise<void> {
    await Promise.all(this.members.map((member) => member.kill()));
  }

  /** A call of the gateway without TLS, as somebody else would make it. Throws what etcd answers with. */
  async call(
    path: string,
    body: unknown,
    options: { readonly member?: number; readonly token?: string } = {},
  ): Promise<Record<string, unknown>> {
    const headers = options.token === undefined ? {} : { authorization: options.token };
    const url = `${this.member(options.member ?? 0).clientUrl}/v3/${path}`;
    const response = await fetch(url, { method: 'POST', body: JSON.stringify(body), headers });
    if (!response.ok) throw new Error(`${path}: HTTP ${response.status} ${await response.text()}`);
    return (await response.json()) as Record<string, unknown>;
  }

  /** Which member leads. */
  async leader(): Promise<number> {
    for (let index = 0; index < this.members.length; index++) {
      const status = await this.call('maintenance/status', {}, { member: index });
      const { member_id } = status.header as { member_id: string };
      if (status.leader === member_id) return index;
    }
    return this.leader();
  }

  /** From now on callers have to say who they are; `root`, with the same password, may do everything. */
  async enableAuthentication(user: string, password: string, prefix: string): Promise<void> {
    const range = { key: toBase64(prefix), range_end: toBase64(`${prefix.slice(0, -1)}0`) };
    await this.call('auth/user/add', { name: 'root', password });
    await this.call('auth/user/grant', { user: 'root', role: 'root' });
    await this.call('auth/role/add', { name: 'matriarch' });
    await this.call('auth/role/grant', { name: 'matriarch', perm: { permType: 'READWRITE', ...range } });
    await this.call('auth/user/add', { name: user, password });
    await this.call('auth/user/grant', { user, role: 'matriarch' });
    await this.call('auth/enable', {});
  }

  /** Ends every member by its pid and removes the data. */
  async remove(): Promise<void> {
    await this.killAll();
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
  }
}

async function writeTls(folder: string, hosts: readonly string[]) {
  const authority = await createAuthority({ cluster: 'etcd' });
  const server = await writePair(folder, 'server', authority, hosts);
  const client = await writePair(folder, 'client', authority, []);
  const caFile = join(folder, 'ca.crt');
  await writeFile(caFile, authority.certificate);
  return { server, client: { caFile, certificateFile: client.certificate, keyFile: client.key } };
}

async function writePair(folder: string, name: string, authority: Authority, hosts: readonly string[]) {
  const issued = await issueCertificate(authority, { name, hosts });
  const paths = { certificate: join(folder, `${name}.crt`), key: join(folder, `${name}.key`) };
  await writeFile(paths.certificate, issued.certificate);
  await writeFile(paths.key, issued.key, { mode: 0o600 });
  return paths;
}

function toBase64(text: string): string {
  return Buffer.from(text, 'utf8').toString('base64');
}
