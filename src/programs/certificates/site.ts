import type { MemberName } from '#domain/member.ts';
import type { TlsSummary } from '#domain/status.ts';

export interface CertifiedMember {
  readonly name: MemberName;
  /** Under which it is reached. */
  readonly hosts: readonly string[];
  /** Where its TLS files are written. */
  readonly tlsDir: string;
}

/** Where the certificates of a cluster are made, whatever way they take to its members. */
export interface CertificateSite {
  readonly cluster: string;
  /** The folder of the authority and its key. */
  readonly authority: string;
  /** What clients check the servers by. */
  readonly clientCa: string;
  readonly members: readonly CertifiedMember[];
  /** The folder of what a proxy shows. */
  readonly proxy: string;
  /** Who else shows clients a certificate of the cluster: the proxy of `matriarch up`. */
  readonly listeners?: readonly CertifiedMember[];
  /** Tells them that their files are new. */
  tellListeners?(): void;
  /** How long a member may take to put to use what was written; 0 where a person carries it there. */
  readonly patienceMs: number;
  /** The commands that carry the files to the machines, for a person; undefined where they lie in place. */
  readonly howToCopy?: string;
  /** What a member uses. Rejects when its agent does not answer. */
  inUse(member: MemberName): Promise<TlsSummary>;
}
