/** What the cluster knows of one role and one database at a moment. Holds a secret: never to disk, logs or SHOW. */
export interface RoleFacts {
  readonly role: string;
  readonly canLogin: boolean;
  readonly superuser: boolean;
  readonly replication: boolean;
  /** `pg_authid.rolpassword`: `SCRAM-SHA-256$…`, `md5…`, or null. Secret: an md5 one equals the password. */
  readonly verifier: string | null;
  /** Wall clock, ms since 1970, until which a password is good; null: for ever. */
  readonly validUntilMs: number | null;
  /** Server connections that the role may have; -1: no limit. */
  readonly connectionLimit: number;
  readonly database: {
    readonly name: string;
    readonly allowsConnections: boolean;
    readonly connectionLimit: number;
    /** The role has CONNECT on it. */
    readonly mayConnect: boolean;
  } | null;
  /**
   * Differs when what ALTER ROLE or ALTER DATABASE … SET gives new sessions of the pair has changed, or the attributes above have. The
   * verifier is not in it: sessions outlive a change of the password.
   */
  readonly digest: string;
  /** The server of the agent that answered, the primary's where it can be asked, lets the proxy in as this role by its certificate. */
  readonly byCertificate: boolean;
}

/** Where the proxy asks who may log in. */
export interface Roles {
  /**
   * Null: no such role. `fresh`: not from what was heard before. Errors: `proxy.rolesUnknown` when nobody answers and nothing is
   * remembered.
   */
  lookup(role: string, database: string, options: { readonly fresh: boolean }): Promise<RoleFacts | null>;
  close(): Promise<void>;
}
