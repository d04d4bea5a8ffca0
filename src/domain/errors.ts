/** What an error code stands for, and what a person does about it. The reference of errors is generated from these. */
export interface ErrorEntry {
  readonly meaning: string;
  readonly next: string;
}

/** Every code is `area.problem`. The place (file, line, member, address) stands in the detail of the single error. */
export const ERRORS = {
  'usage.unknownCommand': {
    meaning: 'There is no such command.',
    next: 'Run `matriarch --help` for the commands.',
  },
  'usage.unknownOption': {
    meaning: 'The command has no such option.',
    next: 'Run the command with `--help` for its options.',
  },
  'usage.invalidArgument': {
    meaning: 'An argument or the value of an option is missing, or is not what the command takes.',
    next: 'Run the command with `--help` for what it takes.',
  },
  'usage.confirmationNeeded': {
    meaning: 'The command destroys something and nobody is there to be asked.',
    next: 'Say it on the command line with the option that the message names.',
  },
  'config.unreadable': {
    meaning: 'A configuration file is missing or cannot be read.',
    next: 'Check that the path is right and that this user may read it.',
  },
  'config.malformed': {
    meaning: 'A configuration document is not valid YAML or JSON.',
    next: 'Mend the line that the message names.',
  },
  'config.invalid': {
    meaning: 'A setting is unknown, has the wrong type, or contradicts another one.',
    next: 'Mend the setting that the message names; docs/reference/configuration.md lists them all.',
  },
  'config.owned': {
    meaning: 'The PostgreSQL parameter belongs to Matriarch: setting it by hand would break replication or durability.',
    next: 'Remove the parameter; the message names the setting of Matriarch that governs it.',
  },
  'config.exposed': {
    meaning: 'A file with a password can be read by others than its owner.',
    next: 'Take their permissions away (`chmod 600`), and choose a new password when they may have read it.',
  },
  'config.conflict': {
    meaning: 'Somebody else changed the configuration at the same time. Nothing was written.',
    next: 'Look at the configuration as it is now, and make the change again.',
  },
  'config.notChecked': {
    meaning: 'The process that checks configurations did not answer. Nothing was changed.',
    next: 'Try again; if it stays so, look for a lack of memory or of processes on the machine.',
  },
  'cluster.notFound': {
    meaning: 'The folder holds no Matriarch cluster.',
    next: 'Name the folder with `--dir`, or make a cluster there with `matriarch up`.',
  },
  'cluster.malformed': {
    meaning: 'The description of the cluster in its folder is damaged, or was written by a newer Matriarch.',
    next: 'Use the version of Matriarch that the message names, or restore the file from a copy.',
  },
  'machines.notFound': {
    meaning: 'The folder holds no cluster of `matriarch machines`.',
    next: 'Name the folder with `--dir`, or make one with `matriarch machines init`.',
  },
  'cluster.foreignFolder': {
    meaning: 'The folder is not empty and was not made by Matriarch.',
    next: 'Choose an empty folder or one that does not exist yet.',
  },
  'cluster.foreignSystem': {
    meaning: 'The data directory belongs to another cluster: its system identifier differs. Nothing was touched.',
    next: 'Move the data directory away, or name the folder of the cluster that it belongs to.',
  },
  'cluster.differs': {
    meaning: 'The options contradict the cluster that already is in the folder.',
    next: 'Leave the option out to bring the cluster up as it is, or choose another folder.',
  },
  'cluster.alreadyUp': {
    meaning: 'The cluster is up already; another process supervises it.',
    next: 'Use it as it is (`matriarch status`), or end it first with `matriarch down`.',
  },
  'cluster.notRunning': {
    meaning: 'No agent of the cluster answers.',
    next: 'Bring it up with `matriarch up`.',
  },
  'cluster.noLeader': {
    meaning: 'No member leads at the moment.',
    next: 'Run `matriarch explain` to see what is missing.',
  },
  'member.unknown': {
    meaning: 'The cluster has no member of that name.',
    next: 'Run `matriarch status` for the members.',
  },
  'member.notRunning': {
    meaning: 'The agent of the member does not answer.',
    next: 'Look at its log with `matriarch logs MEMBER`; `matriarch up` starts agents that are missing.',
  },
  'member.elsewhere': {
    meaning: 'The member runs on another machine, and what was asked for lies there.',
    next: 'Run the command on the machine that the message names.',
  },
  'request.refused': {
    meaning: 'The cluster refused what was asked of it, for the reason in the message. Nothing was changed.',
    next: 'Run `matriarch explain` to see which condition does not hold.',
  },
  'request.unsafe': {
    meaning: 'Acknowledged transactions could be lost, so it is not done without an explicit word.',
    next: 'Bring back a member that holds them, or accept the loss with `matriarch failover --allow-data-loss`.',
  },
  'request.timeout': {
    meaning: 'The request was accepted and has not come to its end in time. It may still do so.',
    next: 'Watch `matriarch status --watch`.',
  },
  'agent.unreachable': {
    meaning: 'The agent does not answer on its socket or port.',
    next: 'Look at its log with `matriarch logs MEMBER`.',
  },
  'agent.badAnswer': {
    meaning: 'What answered does not speak the API of an agent.',
    next: 'Check that every part runs the same version of Matriarch.',
  },
  'api.notFound': {
    meaning: 'The API has no such path, or not with this method.',
    next: 'Check the path and the method against docs/reference/api.md.',
  },
  'api.forbidden': {
    meaning: 'The request needs a certificate of the cluster, or the Unix socket of its owner.',
    next: 'Show a certificate that the authority of the cluster issued, or call as the owner of the folder.',
  },
  'api.malformed': {
    meaning: 'The body of the request is not valid JSON, or not what the path takes.',
    next: 'Check the body against docs/reference/api.md.',
  },
  'api.tooLarge': {
    meaning: 'The body of the request is larger than 1 MiB.',
    next: 'Send less.',
  },
  'guard.failed': {
    meaning: 'The guard, without which a member does not lead, could not be started.',
    next: 'Look at guard.log in the logs of the member; check that this user may start processes.',
  },
  'postgres.notFound': {
    meaning: 'The programs of the PostgreSQL server were not found.',
    next: 'Install PostgreSQL (on Debian: `apt-get install postgresql`), or name its folder with `--postgres-bin`.',
  },
  'postgres.tooOld': {
    meaning: 'The PostgreSQL that was found is older than 14.',
    next: 'Install PostgreSQL 14 or later, or name the folder of one with `--postgres-bin`.',
  },
  'postgres.wrongVersion': {
    meaning: 'The data directory was made by another major version of PostgreSQL.',
    next: 'Name the folder of the matching version with `--postgres-bin`.',
  },
  'postgres.foreignServer': {
    meaning: 'Another server listens on the port of this member. It was left alone.',
    next: 'Stop that server, or choose another port with `--port`.',
  },
  'port.taken': {
    meaning: 'A port that the cluster needs is in use by another program.',
    next: 'Choose another first port with `--port`, or stop the program that uses it.',
  },
  'user.missing': {
    meaning: 'PostgreSQL refuses to run as root, and there is no unprivileged user to run it as.',
    next: 'Make one (`useradd --system postgres`) or run Matriarch as an ordinary user.',
  },
  'folder.unreachable': {
    meaning: 'The user that runs PostgreSQL cannot reach the folder.',
    next: 'Choose a folder that it can enter, such as one below /var/lib, or run Matriarch as an ordinary user.',
  },
  'folder.pathTooLong': {
    meaning: 'The path of the folder is too long: the address of a Unix socket holds at most 107 bytes.',
    next: 'Choose a folder with a shorter path.',
  },
  'disk.full': {
    meaning: 'No space is left on the device.',
    next: 'Make room; the member comes back by itself.',
  },
  'disk.readOnly': {
    meaning: 'The file system is mounted read-only.',
    next: 'Choose another folder, or mount the file system writable.',
  },
  'disk.denied': {
    meaning: 'This user may not read or write the file or folder.',
    next: 'Change its owner or its mode, or choose another folder.',
  },
  'disk.failed': {
    meaning: 'The operating system reported an error of a file or folder.',
    next: 'Check the device; the message holds the error of the operating system.',
  },
  'promise.corrupt': {
    meaning: 'The promise of the member is damaged or was written by a later version. Without it the member may not take part.',
    next: 'Restore nothing from a copy. Move the file away: the member then starts a life of its own, and nothing that it once confirmed counts.',
  },
  'kubernetes.noAccess': {
    meaning: 'Nothing says where the API server of Kubernetes is, or how to log in there; or what says so cannot be used.',
    next: 'In a pod, give it a service account; elsewhere name a kubeconfig in KUBECONFIG.',
  },
  'kubernetes.unavailable': {
    meaning: 'The API server of Kubernetes did not answer in time, or could not. Nothing is known about the effect of a write.',
    next: 'Clusters that run go on without it; bring it back for anything to be changed.',
  },
  'kubernetes.denied': {
    meaning: 'The API server of Kubernetes does not let this user do that, or does not know it.',
    next: 'Check the token or certificate, and the Role that is bound to the user that the message names.',
  },
  'kubernetes.untrusted': {
    meaning: 'What answers in the place of the API server shows a certificate that is not to be trusted. Nothing was sent to it.',
    next: 'Check the address and the authority in the kubeconfig; something between here and there may answer for it.',
  },
  'kubernetes.notFound': {
    meaning: 'The API server of Kubernetes has no such object, or does not know its kind.',
    next: 'Check the name and the namespace; for a PostgresCluster, that the operator is installed.',
  },
  'kubernetes.conflict': {
    meaning: 'Somebody else changed the object at the same time, or it is there already. Nothing was written.',
    next: 'Look at it as it is now, and make the change again.',
  },
  'kubernetes.expired': {
    meaning: 'The API server of Kubernetes no longer remembers what was asked for.',
    next: 'List the objects anew.',
  },
  'kubernetes.tooLarge': {
    meaning: 'The object is larger than Kubernetes takes.',
    next: 'Make it smaller; a ConfigMap holds 1 MiB.',
  },
  'kubernetes.refused': {
    meaning: 'The API server of Kubernetes refuses the object; the message names its fields.',
    next: 'Mend the fields that the message names.',
  },
  'store.unavailable': {
    meaning: 'The store did not answer in time. Nothing is known about the effect of a write.',
    next: 'A healthy cluster goes on without it; bring the store back for a failover or switchover to be possible.',
  },
  'store.full': {
    meaning: 'The disk that holds the store is full. Nothing was written.',
    next: 'Make room; the cluster goes on by itself.',
  },
  'store.readOnly': {
    meaning: 'The file of the store, its folder or its file system cannot be written by this user.',
    next: 'Change the owner or the mode, or mount the file system writable.',
  },
  'store.corrupt': {
    meaning: 'The file of the store is damaged.',
    next: 'Stop the cluster and check the disk; restore the file from a copy, or move it away and bring the cluster up anew.',
  },
  'store.foreign': {
    meaning: 'The file is not a store of Matriarch. It was left as it is.',
    next: 'Name another folder, or move the file away.',
  },
  'store.newer': {
    meaning: 'The store was made by a later version of Matriarch. It was left as it is.',
    next: 'Use that version of Matriarch.',
  },
  'store.tooLarge': {
    meaning: 'The value is larger than a store takes (1 MiB).',
    next: 'Make the document smaller.',
  },
  'store.denied': {
    meaning: 'The store refuses the user, the password or the certificate of this member, or does not let it at its keys.',
    next: 'Check the user, the files that the message names, and what the store allows that user under the prefix of the cluster.',
  },
  'store.untrusted': {
    meaning: 'What answers in the place of the store shows a certificate that is not to be trusted. Nothing was sent to it.',
    next: 'Check that the endpoints are right, and that `caFile` names the authority that signed their certificates.',
  },
  'tls.invalid': {
    meaning: 'A certificate or key is missing, expired, or does not belong to this cluster.',
    next: 'Check the files that the message names.',
  },
  'tls.notApplied': {
    meaning: 'A member does not use the new certificates yet. Everybody still trusts what is in use: nothing is cut off.',
    next: 'Bring the member up, or carry the files to its machine; then run the same command again: it goes on where it stopped.',
  },
  'proxy.rolesUnknown': {
    meaning: 'Nobody who knows the roles answers, and nothing about this one is remembered.',
    next: 'Look at `matriarch status`, or at the servers that the proxy asks; it goes on by itself.',
  },
  'proxy.rolesUnreadable': {
    meaning: 'The role that the proxy asks the servers by may not read `pg_authid`, so it cannot know who may log in.',
    next: 'On the primary, in the database that the proxy asks in: `GRANT SELECT ON pg_catalog.pg_authid TO` that role.',
  },
  'proxy.serversUnreachable': {
    meaning: 'The servers refuse the role, the password or the certificate that the proxy asks them by.',
    next: 'Check `source` in the configuration of the proxy, and pg_hba.conf of the servers.',
  },
  'internal.bug': {
    meaning: 'Matriarch met a state that it holds to be impossible.',
    next: 'Please report it with the message and the logs.',
  },
} as const satisfies Readonly<Record<string, ErrorEntry>>;

export type ErrorCode = keyof typeof ERRORS;

/** An error that a person may see: what happened and where (the message), a stable code, and what to do next. */
export class MatriarchError extends Error {
  override readonly name = 'MatriarchError';
  readonly code: ErrorCode;

  constructor(code: ErrorCode, detail: string, cause?: unknown) {
    super(detail, cause === undefined ? undefined : { cause });
    this.code = code;
  }

  get next(): string {
    return ERRORS[this.code].next;
  }
}

/** Throws. `detail` says what happened and where, for example `config.yaml, line 3: port: expected a number`. Never a secret. */
export function fail(code: ErrorCode, detail: string, cause?: unknown): never {
  throw new MatriarchError(code, detail, cause);
}

export function isErrorCode(text: string): text is ErrorCode {
  return Object.hasOwn(ERRORS, text);
}
