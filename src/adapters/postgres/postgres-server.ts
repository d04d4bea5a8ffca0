import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import type { Incarnation } from '#domain/member.ts';
import type { RoleFacts } from '#domain/ports/roles.ts';
import type { ServerPort } from '#domain/ports/server-port.ts';
import type { JobResult, ServerJob, ServerView } from '#domain/server.ts';
import type { TlsIdentity } from '../tls/tls-files.ts';
import { isExpressible } from './access-file.ts';
import { CertifiedRoles } from './certified-roles.ts';
import { Freshness } from './freshness.ts';
import { Histories } from './histories.ts';
import { failureOf, messageOf } from './job-error.ts';
import { bootstrap } from './jobs/bootstrap.ts';
import { checkpoint } from './jobs/checkpoint.ts';
import { clone } from './jobs/clone.ts';
import { detach } from './jobs/detach.ts';
import { drain } from './jobs/drain.ts';
import { fetchWal, follow } from './jobs/follow.ts';
import { gate } from './jobs/gate.ts';
import { promote } from './jobs/promote.ts';
import { rewind } from './jobs/rewind.ts';
import { setSync } from './jobs/set-sync.ts';
import { slots } from './jobs/slots.ts';
import { startPrimary, startStandby } from './jobs/start.ts';
import { stop } from './jobs/stop.ts';
import { renewPassfile } from './jobs/upstream.ts';
import { layoutOf } from './layout.ts';
import { type Look, look } from './live-query.ts';
import { primaryView, standbyView } from './live-view.ts';
import { OwnedFiles, readIfThere } from './owned-files.ts';
import { putPasswords } from './passwords.ts';
import { DEFAULT_LOG_LIMIT_BYTES, type PostgresOptions, type PostgresSecrets } from './postgres-options.ts';
import { Postmaster } from './postmaster.ts';
import { renewAccess } from './reload.ts';
import { RoleFile } from './role-file.ts';
import { RoleReader } from './role-reader.ts';
import type { JobContext, ServerContext } from './server-context.ts';
import { serverSettings } from './server-settings.ts';
import { NoAnswer, Session } from './session.ts';
import { StoppedServer } from './stopped-server.ts';
import { runTool } from './tool.ts';
import { Upkeep } from './upkeep.ts';
import { useTls } from './use-tls.ts';
import { WalFolders } from './wal-folders.ts';
import { DEFAULT_WAL_SIZES } from './wal-layout.ts';

const OBSERVE_TIMEOUT_MS = 900;
const KEEP_ACCESS_EVERY_MS = 1000;
/** That it "could not be applied" the view says of a value that is wrong, and of one that waits for a restart. */
const REFUSED = `SELECT f.name, CASE f.error WHEN 'setting could not be applied' THEN 'PostgreSQL does not take ' || f.setting ELSE f.error END AS error
  FROM pg_file_settings f LEFT JOIN pg_settings s ON lower(s.name) = lower(f.name)
  WHERE f.error IS NOT NULL AND f.name IS NOT NULL AND s.pending_restart IS NOT TRUE`;

export interface PostgresServer extends ServerPort {
  /** Rewrites the cluster's parameters and reloads. Returns the names that only a restart brings into force. */
  updateParameters(parameters: Readonly<Record<string, string>>): Promise<readonly string[]>;
  /** Has the server read its files again, certificates among them. False when none runs. */
  reload(): boolean;
  /** The names of the parameters that only a restart brings into force. Rejects when no server answers. */
  pendingRestart(): Promise<readonly string[]>;
  /** Of the server as it runs. Rejects when it does not answer in time. */
  parametersInForce(): Promise<ParametersInForce>;
  /** For a proxy. Null: no such role, or one of the agents' own. Rejects when no server answers in time. */
  lookup(role: string, database: string): Promise<RoleFacts | null>;
  /** Roles that a proxy cannot log in as by its certificate, though nothing but their name is against it. */
  readonly refusedRoles: readonly string[];
  /** From now on the server shows this certificate and trusts these authorities; connections that are open go on. Waits for a job that runs. */
  useTls(tls: TlsIdentity): Promise<void>;
  /**
   * From now on members are connected to by this password of the replication role; connections that are open go on. The names of the
   * roles stay as they were, and the password of the agent's own where the agent logs in by it.
   */
  useSecrets(secrets: PostgresSecrets): Promise<void>;
  /** From now on clients are let in by these lines, too; those that are in stay. Waits for a job that runs. */
  useAccess(hba: readonly string[]): Promise<void>;
  /** On the primary: gives the roles the passwords that `useSecrets` was told last. Returns those that had others. */
  putPasswords(): Promise<readonly string[]>;
}

export interface ParametersInForce {
  /** Of those that take a restart and must not be lower on a standby than on its primary, as `pg_settings` has them. */
  readonly values: Readonly<Record<string, string>>;
  readonly pendingRestart: readonly string[];
  /** Those of the files that PostgreSQL does not take, with its reason: it runs on without them, and would not start with them. */
  readonly refused: Readonly<Record<string, string>>;
}

/** The one PostgreSQL of a member. Nothing is started by making it; a server that runs is found. */
export function createPostgresServer(options: PostgresOptions): PostgresServer {
  return new LocalServer(options);
}

class LocalServer implements PostgresServer {
  readonly #context: ServerContext;
  readonly #observing: Session;
  readonly #freshness = new Freshness();
  readonly #upkeep: Upkeep;
  readonly #roles: RoleReader;
  readonly #certified: CertifiedRoles;
  #keepingAccess: Promise<void> | undefined;
  /** Not in the first second: an agent that comes back has more urgent things to do. */
  #accessKeptAt = performance.now();
  #running: { readonly controller: AbortController; readonly done: Promise<unknown> } | undefined;

  constructor(options: PostgresOptions) {
    const layout = layoutOf(options);
    const files = new OwnedFiles(options.runAs);
    const postmaster = new Postmaster(
      join(options.binDir, 'postgres'),
      layout,
      options.runAs,
      options.logLimitBytes ?? DEFAULT_LOG_LIMIT_BYTES,
    );
    const password = () => this.#context.memory.secrets.agent.password;
    const settings = { socketDir: layout.socketDir, port: options.port, user: options.secrets.agent.name, password };
    // An adopted server has no child's exit: every backend notices the postmaster's death at once, and with it its connection ends.
    const hint = () => postmaster.hint();
    this.#observing = new Session({ ...settings, name: 'matriarch agent' }, hint);
    const run = (program: string, args: readonly string[]) =>
      runTool({ program: join(options.binDir, program), args, owner: options.runAs, cwd: layout.memberDir });
    this.#context = {
      options,
      layout,
      files,
      postmaster,
      role: new RoleFile(files, layout.roleConf),
      stopped: new StoppedServer(layout, files, run),
      walFolders: new WalFolders(layout, files),
      histories: new Histories(),
      work: new Session({ ...settings, name: 'matriarch agent' }, hint),
      log: options.log ?? (() => {}),
      memory: {
        tls: options.tls,
        secrets: options.secrets,
        // All of them or none: whoever of them has no line is shut out.
        socketUsers: options.socketUsers?.every(isExpressible) ? options.socketUsers : [],
        parameters: options.parameters,
        hba: options.hba ?? [],
        syncInForce: undefined,
        startedAt: undefined,
        walSizes: DEFAULT_WAL_SIZES,
        certified: [],
        byCertificate: new Set(),
      },
      openSession: (change = {}) => new Session({ ...settings, name: 'matriarch agent', ...change }),
    };
    const { memory } = this.#context;
    // A person may start it again: of that server nothing is known.
    postmaster.onEnded(() => {
      memory.syncInForce = undefined;
      memory.startedAt = undefined;
    });
    this.#upkeep = new Upkeep(this.#context);
    this.#roles = new RoleReader(this.#context);
    this.#certified = new CertifiedRoles(this.#context, this.#roles);
  }

  async lookup(role: string, database: string): Promise<RoleFacts | null> {
    const facts = await this.#roles.lookup(role, database);
    if (facts === null || facts.byCertificate || !this.#certified.isWantedFor(facts)) return facts;
    // Made a moment ago: nobody waits for the next look.
    await this.#keepAccess().catch(() => {});
    return { ...facts, byCertificate: this.#context.memory.byCertificate.has(role) };
  }

  get refusedRoles(): readonly string[] {
    return this.#certified.refused;
  }

  async observe(_incarnation: Incarnation): Promise<ServerView> {
    const timeout = Promise.withResolvers<ServerView>();
    const timer = setTimeout(
      () => timeout.resolve({ state: 'stuck', why: 'no look came to an end in time' }),
      OBSERVE_TIMEOUT_MS + 50,
    );
    try {
      return await Promise.race([this.#look(), timeout.promise]);
    } finally {
      clearTimeout(timer);
    }
  }

  async #look(): Promise<ServerView> {
    const { postmaster, stopped } = this.#context;
    const deadline = performance.now() + OBSERVE_TIMEOUT_MS;
    const left = () => Math.max(1, deadline - performance.now());
    try {
      if (postmaster.pid() === undefined) return await stopped.view();
      // Its backends still answer, over connections that are open: whoever has none is never let in.
      if (postmaster.isFrozen()) return { state: 'stuck', why: 'the postmaster is stopped (SIGSTOP)' };
      const found = await look(this.#observing, left());
      // A server that was adopted, too.
      this.#context.memory.walSizes = found.walSizes;
      const view = found.inRecovery ? standbyView : primaryView;
      const seen = await view(found, this.#freshness, this.#context, this.#observing, left());
      this.#keepUp(found);
      return seen;
    } catch (error) {
      postmaster.look();
      if (error instanceof NoAnswer) return { state: 'stuck', why: 'the server does not answer' };
      // It ended under the look; `observe` bounds the second one.
      if (postmaster.pid() === undefined)
        return stopped.view().catch((again: unknown) => ({ state: 'stuck', why: messageOf(again) }));
      return isComing(error) ? { state: 'starting' } : { state: 'stuck', why: messageOf(error) };
    }
  }

  /** Beside the look, and between jobs. What fails is tried again with the next one. */
  #keepUp(found: Look): void {
    if (!found.inRecovery) this.#upkeep.flush(found, this.#observing).catch(() => {});
    if (this.#running === undefined && performance.now() - this.#accessKeptAt > KEEP_ACCESS_EVERY_MS)
      this.#keepAccess().catch((error: unknown) => this.#context.log(messageOf(error)));
    if (this.#running === undefined && this.#upkeep.needsUndo(found)) void this.#between(() => this.#upkeep.undo());
  }

  /** Between two jobs, as one: the next job waits, and a stop aborts it. */
  #between(work: (context: JobContext) => Promise<void>): Promise<void> {
    const controller = new AbortController();
    const context = { ...this.#context, signal: controller.signal, incarnation: '', onProgress: () => {} };
    const done = work(context).catch((error: unknown) => this.#context.log(messageOf(error)));
    const current = { controller, done };
    this.#running = current;
    return done.then(() => {
      if (this.#running === current) this.#running = undefined;
    });
  }

  /** One at a time; whoever comes meanwhile waits for the same. Not while a job runs. */
  #keepAccess(): Promise<void> {
    this.#keepingAccess ??= this.#keepAccessOnce().finally(() => {
      this.#keepingAccess = undefined;
    });
    return this.#keepingAccess;
  }

  async #keepAccessOnce(): Promise<void> {
    this.#accessKeptAt = performance.now();
    const behind = await this.#certified.isBehind();
    if (!behind || this.#running !== undefined || this.pid() === undefined) return;
    await this.#between((context) => this.#certified.apply(context));
  }

  async run(job: ServerJob, incarnation: Incarnation, onProgress: (text: string) => void): Promise<JobResult> {
    if (job.kind === 'checkpoint') return checkpoint(this.#context).catch(failureOf);
    const before = this.#running;
    if (job.kind === 'stop') before?.controller.abort();
    else await before?.done;
    const controller = new AbortController();
    const context: JobContext = { ...this.#context, signal: controller.signal, incarnation, onProgress };
    const done = perform(context, job).catch(failureOf);
    const current = { controller, done };
    this.#running = current;
    let result = await done;
    if (job.kind === 'stop' && before !== undefined) {
      // What was overtaken ends before the next job begins, and it may have started the server meanwhile.
      await before.done;
      if (this.pid() !== undefined) result = await perform(context, job).catch(failureOf);
    }
    if (this.#running === current) this.#running = undefined;
    return result;
  }

  onEnded(listener: () => void): void {
    this.#context.postmaster.onEnded(listener);
  }

  pid(): number | undefined {
    return this.#context.postmaster.pid();
  }

  async updateParameters(parameters: Readonly<Record<string, string>>): Promise<readonly string[]> {
    const { options, layout, files, memory, postmaster } = this.#context;
    memory.parameters = parameters;
    // Before the first start there is nothing to rewrite.
    if ((await readIfThere(layout.serverConf)) === undefined) return [];
    if (!(await files.writeIfChanged(layout.serverConf, serverSettings(options, layout, parameters)))) return [];
    if (!postmaster.signal('SIGHUP')) return [];
    return this.pendingRestart();
  }

  reload(): boolean {
    return this.#context.postmaster.signal('SIGHUP');
  }

  async pendingRestart(): Promise<readonly string[]> {
    return (await this.parametersInForce()).pendingRestart;
  }

  async parametersInForce(): Promise<ParametersInForce> {
    const session = this.#context.openSession();
    try {
      // A standby stops replaying that has less of these (manual, 26.4.3, "Administrator's Overview").
      const rows = await session.query<{ name: string; setting: string; pending: boolean }>(
        `SELECT name, setting, pending_restart AS pending FROM pg_settings WHERE pending_restart OR name IN
          ('max_connections', 'max_worker_processes', 'max_wal_senders', 'max_prepared_transactions', 'max_locks_per_transaction')`,
        [],
        { timeoutMs: OBSERVE_TIMEOUT_MS },
      );
      const refused = await session.query<{ name: string; error: string }>(REFUSED, [], { timeoutMs: OBSERVE_TIMEOUT_MS });
      return {
        refused: Object.fromEntries(refused.map(({ name, error }) => [name, error])),
        values: Object.fromEntries(rows.map(({ name, setting }) => [name, setting])),
        pendingRestart: rows.filter(({ pending }) => pending).map(({ name }) => name),
      };
    } finally {
      session.drop();
    }
  }

  async useTls(tls: TlsIdentity): Promise<void> {
    this.#context.memory.tls = tls;
    while (this.#running !== undefined) await this.#running.done;
    const controller = new AbortController();
    const renewed = useTls({ ...this.#context, signal: controller.signal });
    const done = renewed.catch(() => {});
    const current = { controller, done };
    this.#running = current;
    await done;
    if (this.#running === current) this.#running = undefined;
    return renewed;
  }

  async useSecrets({ superuser, agent, replication }: PostgresSecrets): Promise<void> {
    const { memory } = this.#context;
    memory.secrets = {
      // By a password that this server has and that one does not yet, an agent would be shut out.
      agent: memory.socketUsers.length === 0 ? memory.secrets.agent : { ...memory.secrets.agent, password: agent.password },
      superuser: { ...memory.secrets.superuser, password: superuser.password },
      replication: { ...memory.secrets.replication, password: replication.password },
    };
    while (this.#running !== undefined) await this.#running.done;
    await this.#between(renewPassfile);
  }

  async useAccess(hba: readonly string[]): Promise<void> {
    this.#context.memory.hba = hba;
    while (this.#running !== undefined) await this.#running.done;
    await this.#between(renewAccess);
  }

  async putPasswords(): Promise<readonly string[]> {
    const { secrets, socketUsers } = this.#context.memory;
    const { superuser, replication, agent } = secrets;
    const session = this.#context.openSession({ name: 'matriarch passwords' });
    try {
      return await putPasswords(session, [superuser, replication, ...(socketUsers.length === 0 ? [] : [agent])]);
    } finally {
      session.drop();
    }
  }

  async close(): Promise<void> {
    this.#running?.controller.abort();
    await this.#running?.done;
    this.#context.postmaster.close();
    this.#observing.drop();
    this.#context.work.drop();
    this.#roles.drop();
  }
}

/** Nobody listens yet (ENOENT, ECONNREFUSED), or the server says that it is starting or ending (57P03, 57P01, 57P02). */
function isComing(error: unknown): boolean {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === 'string' && ['ENOENT', 'ECONNREFUSED', 'ECONNRESET', 'EPIPE', '57P01', '57P02', '57P03'].includes(code);
}

async function perform(context: JobContext, job: ServerJob): Promise<JobResult> {
  switch (job.kind) {
    case 'bootstrap':
      return bootstrap(context);
    case 'clone':
      return clone(context, job.upstream);
    case 'rewind':
      return rewind(context, job.upstream);
    case 'startPrimary':
      return startPrimary(context);
    case 'startStandby':
      return startStandby(context, job.upstream);
    case 'follow':
      return follow(context, job.upstream);
    case 'detach':
      return detach(context);
    case 'fetch':
      return fetchWal(context, job.upstream, job.until);
    case 'promote':
      return promote(context, job.timeline);
    case 'setSync':
      return setSync(context, job.setting, job.wait);
    case 'slots':
      return slots(context, job.keep);
    case 'gate':
      return gate(context, job.open, job.cut);
    case 'drain':
      return drain(context, job.timeoutMs);
    case 'stop':
      return stop(context, job.mode);
    case 'checkpoint':
      return { ok: false, code: 'failed', why: 'a checkpoint is no exclusive job' };
  }
}
