import { readFileSync } from 'node:fs';
import { callApi } from '#adapters/http/call-api.ts';
import { readTlsFiles } from '#adapters/tls/tls-files.ts';
import type { ConnectionUrls, Secrets } from '#domain/config/cluster-description.ts';
import { memberPaths } from '#domain/config/cluster-paths.ts';
import type { MemberConfig } from '#domain/config/member-config.ts';
import { fail } from '#domain/errors.ts';
import type { AgentStatus } from '#domain/status.ts';
import { composeConnection } from '#programs/up/connection-urls.ts';
import type { Cluster, MemberAddress } from './cluster.ts';

/** The agent answers from memory. */
const LOOK_TIMEOUT_MS = 2000;

/** The cluster of the member on this machine. */
export interface MemberCluster extends Cluster {
  readonly config: MemberConfig;
}

/**
 * The cluster that the member on this machine belongs to, with the members that its agent knows; with itself alone when the agent does
 * not answer. Errors: `config.…`.
 */
export async function openMember(file: string): Promise<MemberCluster> {
  const config = await readMemberConfig(file);
  return memberCluster(config, await membersOf(config));
}

/** Errors: `config.unreadable`, `config.malformed`, `config.invalid`. */
export async function readMemberConfig(file: string): Promise<MemberConfig> {
  const { parseMemberConfigText } = await import('#domain/config/parse-config.ts');
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    fail('config.unreadable', (error as Error).message, error);
  }
  return parseMemberConfigText(text, file);
}

function memberCluster(config: MemberConfig, members: readonly MemberAddress[]): MemberCluster {
  const own = memberPaths(config.memberDir);
  const caFile = `${config.tlsDir}/ca.crt`;
  return {
    config,
    name: config.cluster,
    members,
    proxy: null,
    proxyLog: null,
    postgresBin: config.postgresBin,
    caFile,
    passwordsFile: config.secretsFile,
    async target(name) {
      if (name === config.name) return { socketPath: own.socket };
      const api = members.find((member) => member.name === name)?.api ?? fail('member.unknown', name);
      const colon = api.lastIndexOf(':');
      const tls = await readTlsFiles(config.tlsDir);
      return { host: api.slice(0, colon), port: Number(api.slice(colon + 1)), name, tls };
    },
    connection: () => readUrls(config.secretsFile, members, caFile),
    folderOf(name) {
      if (name === config.name) return own;
      const host = members.find((member) => member.name === name)?.host ?? 'another machine';
      return fail('member.elsewhere', `${name} runs on ${host}, and this is the machine of ${config.name}`);
    },
  };
}

async function membersOf({ name, host, port, api, memberDir }: MemberConfig): Promise<readonly MemberAddress[]> {
  const self: MemberAddress = { name, host, port, api: `${api.host}:${api.port}` };
  try {
    const { json } = await callApi({ socketPath: memberPaths(memberDir).socket }, 'GET', '/status', {
      timeoutMs: LOOK_TIMEOUT_MS,
    });
    const others = (json as AgentStatus).members.filter((member) => member.name !== name);
    return [self, ...others].map(addressOf).sort((a, b) => (a.name < b.name ? -1 : 1));
  } catch {
    return [self];
  }
}

function addressOf({ name, host, port, api }: MemberAddress): MemberAddress {
  return { name, host, port, api };
}

function readUrls(secretsFile: string, members: readonly MemberAddress[], caFile: string): ConnectionUrls | undefined {
  try {
    const { superuser } = JSON.parse(readFileSync(secretsFile, 'utf8')) as Secrets;
    return composeConnection({ members }, superuser, caFile);
  } catch {
    return undefined;
  }
}
