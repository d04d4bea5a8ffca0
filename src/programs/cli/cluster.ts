import type { ApiTarget } from '#adapters/http/call-api.ts';
import type { ConnectionUrls, ProxyDescription } from '#domain/config/cluster-description.ts';
import type { memberPaths } from '#domain/config/cluster-paths.ts';
import { fail } from '#domain/errors.ts';
import type { MemberName } from '#domain/member.ts';
import { suggest } from '#domain/suggest.ts';

/** Where a member is reached: its PostgreSQL by host and port, its agent by `api` (`host:port`). */
export interface MemberAddress {
  readonly name: MemberName;
  readonly host: string;
  readonly port: number;
  readonly api: string;
}

/** A cluster as the commands see it, whether its members run in one folder or each on a machine of its own. */
export interface Cluster {
  readonly name: string;
  readonly members: readonly MemberAddress[];
  /** The one that `matriarch up` runs; null where there is none. */
  readonly proxy: ProxyDescription | null;
  readonly proxyLog: string | null;
  /** Where psql is. */
  readonly postgresBin: string;
  /** The certificates that clients check the servers by. */
  readonly caFile: string;
  /** The file that `connection` reads the passwords from, to be named where it cannot be read. */
  readonly passwordsFile: string;
  /** How to reach the agent of a member. Errors: `tls.invalid` when this user may not read what that takes. */
  target(member: MemberName): Promise<ApiTarget>;
  /** The URLs with their passwords; undefined for whoever may not read them. */
  connection(): ConnectionUrls | undefined;
  /** The folder of a member on this machine. Errors: `member.elsewhere`. */
  folderOf(member: MemberName): ReturnType<typeof memberPaths>;
}

/** The member of that name. Throws `member.unknown` with the name that was probably meant. */
export function memberNamed({ name: cluster, members }: Pick<Cluster, 'name' | 'members'>, name: string): MemberAddress {
  const member = members.find((one) => one.name === name);
  const names = members.map((one) => one.name);
  if (member === undefined)
    fail('member.unknown', `${cluster} has no member ${name} (it has ${names.join(', ')})${suggest(name, names)}`);
  return member;
}
