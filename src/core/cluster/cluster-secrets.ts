import type { AuthorityChange } from './authority-rotation.ts';

/** A certificate and its private key, both PEM. */
export interface KeyPair {
  readonly certificate: string;
  readonly key: string;
}

interface Login {
  readonly name: string;
  readonly password: string;
}

/** The values of everything secret in a cluster. The core draws none: they are passed in. */
export interface ClusterSecrets {
  readonly superuser: Login;
  readonly replication: Login;
  readonly agent: Login;
  /** Of declared roles without a Secret of their own, by the name of the role. */
  readonly roles: Readonly<Record<string, string>>;
  /** The certificates of the cluster's authority that everybody trusts; two while one replaces the other (PEM). */
  readonly trusted: string;
  readonly authority: KeyPair;
  /** The `tls.rotation` that the authority was last changed for. */
  readonly rotation: number;
  /** Of the authority, while it is under way. */
  readonly change: AuthorityChange | null;
  readonly proxyAuthority: KeyPair;
  /** By the name of the member; of spares too. */
  readonly members: Readonly<Record<string, KeyPair>>;
  readonly proxy: {
    /** For the agents, by the cluster's authority. */
    readonly agents: KeyPair;
    /** For logins at the servers, by the proxies' authority. */
    readonly servers: KeyPair;
    /** For clients, with the names of the Services, by the cluster's authority. */
    readonly listener: KeyPair;
  };
}
