import { randomBytes, randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { makeMemberFolders } from '#adapters/files/member-folders.ts';
import { PromiseFile } from '#adapters/files/promise-file.ts';
import { createPeerLinks, type PeerLinks } from '#adapters/peers/peer-links.ts';
import { layoutOf } from '#adapters/postgres/layout.ts';
import type { PostgresOptions } from '#adapters/postgres/postgres-options.ts';
import { createPostgresServer } from '#adapters/postgres/postgres-server.ts';
import { socketUsers } from '#adapters/process/socket-users.ts';
import { openStore } from '#adapters/store/open-store.ts';
import type { TlsIdentity } from '#adapters/tls/tls-files.ts';
import type { Command, HaEvent } from '#core/ha/events.ts';
import { holdsLead } from '#core/ha/holds-lead.ts';
import { initialState } from '#core/ha/state.ts';
import type { Secrets } from '#domain/config/cluster-description.ts';
import { memberPaths, walFolderOf } from '#domain/config/cluster-paths.ts';
import { haSettings } from '#domain/config/ha-settings.ts';
import type { MemberConfig } from '#domain/config/member-config.ts';
import { fail } from '#domain/errors.ts';
import type { MemberName } from '#domain/member.ts';
import type { ExplainLine } from '#domain/status.ts';
import type { ConfigChecker } from '#programs/config-check/config-checker.ts';
import { AddressBook } from './address-book.ts';
import { AgentFace } from './agent-face.ts';
import type { AgentLog } from './agent-log.ts';
import { Certificates } from './certificates.ts';
import { CommandDesk } from './command-desk.ts';
import { Declarations, readDeclared } from './declarations.ts';
import { openDoors } from './doors.ts';
import { DynamicConfig } from './dynamic-config.ts';
import { stayMember } from './leaving.ts';
import { performer } from './perform.ts';
import { openPodLabels } from './pod-labels.ts';
import { ProxyDesk } from './proxy-desk.ts';
import { publishEveryMs } from './publish-interval.ts';
import { toJson } from './record-json.ts';
import type { Served } from './routes.ts';
import { Runner } from './runner.ts';
import { readMessage } from './shapes.ts';
import { watchStore } from './store-feed.ts';
import { Watchmen } from './watchmen.ts';

const TICKS_PER_HEARTBEAT = 2;
/** Kinds of messages that are passed over; a bound, since names come from outside. */
const MAX_TOLD = 64;

export interface AgentOptions {
  readonly config: MemberConfig;
  readonly checker: ConfigChecker;
  readonly log: AgentLog;
  /** Aborts when the agent is to end. Its server runs on: the next agent adopts it within the guard's deadline. */
  readonly signal: AbortSignal;
}

/** What an agent is made of before anything runs. */
async function openParts({ config, checker, log, signal }: AgentOptions) {
  const paths = memberPaths(config.memberDir);
  const certificates = await Certificates.read(config, log);
  await makeMemberFolders(config.memberDir, config.runAs);
  const store = await openStore(config);
  const dynamicConfig = new DynamicConfig(store, checker, paths.lastConfig, log);
  // One that cannot be read is no reason to stay away from a server that runs.
  const declared = await readDeclared(config, checker).catch((error: Error) => void log.warn('declared', error.message));
  const dynamic = await dynamicConfig.read(declared ?? config.initialConfig, signal);
  const promiseFile = new PromiseFile(paths.promise);
  const secrets = await readSecrets(config.secretsFile, checker);
  const options: PostgresOptions = {
    binDir: config.postgresBin,
    memberDir: config.memberDir,
    dataDir: paths.data,
    ...(config.walDir === undefined ? {} : { walDir: walFolderOf(config.walDir, config.cluster, config.name) }),
    host: config.host,
    port: config.port,
    ...(config.listen === undefined ? {} : { listen: config.listen }),
    socketDir: paths.run,
    logFile: paths.postgresLog,
    ...(config.runAs === undefined ? {} : { runAs: config.runAs }),
    socketUsers: await socketUsers(config.runAs),
    tls: certificates.current,
    secrets: { superuser: secrets.superuser, agent: secrets.agent, replication: secrets.replication },
    ...(config.initdb === undefined ? {} : { initdb: config.initdb }),
    parameters: dynamic.postgresql.parameters,
    hba: dynamic.postgresql.hba,
    stopTimeoutMs: dynamic.timings.stopTimeoutMs,
    log: (line) => log.info('postgres', line),
  };
  const server = createPostgresServer(options);
  const podLabels = await openPodLabels(config, log);
  const onDisk = await promiseFile.read();
  const initial = initialState({
    self: {
      name: config.name,
      host: config.host,
      port: config.port,
      tags: config.tags,
      run: randomUUID(),
      publishEveryMs: publishEveryMs(config.store.kind),
    },
    config: haSettings(dynamic),
    promise: onDisk?.epoch ?? 0,
    // Without a promise file nothing that this data once confirmed is known to count: it starts a life of its own.
    incarnation: onDisk?.incarnation ?? `${config.name}_${randomBytes(4).toString('hex')}`,
    seed: randomBytes(4).readInt32LE(),
    now: performance.now(),
    wall: new Date().toISOString(),
  });
  const socketDir = layoutOf(options).socketDir;
  return { paths, certificates, store, dynamic, dynamicConfig, promiseFile, secrets, server, podLabels, initial, socketDir };
}

/** One member: the core, fed by the world and carried out on it. Resolves when it has ended. */
export async function runAgent(options: AgentOptions): Promise<void> {
  const { config, checker, log, signal } = options;
  const clock = () => performance.now();
  const parts = await openParts(options);
  const { paths, certificates, store, dynamic, promiseFile, secrets, server, podLabels, initial, socketDir } = parts;
  const leads = () => holdsLead(runner.state, clock());
  const desk = new CommandDesk();
  const face = new AgentFace(log);
  const done = Promise.withResolvers<void>();
  signal.addEventListener('abort', () => done.resolve(), { once: true });

  const runner = new Runner({
    initial,
    clock,
    perform: (effect) => perform(effect),
    onStep: (state, because) => {
      face.seen(state, because, (role) => watchmen.setRole(role));
      proxies.seen(state);
      podLabels?.seen(state);
    },
  });
  const lookup = (role: string, database: string) => server.lookup(role, database);
  const proxies = new ProxyDesk({ config, socketDir, state: () => runner.state, clock, lookup, log });
  const feed = (event: HaEvent) => runner.feed(event);
  const watchmen = new Watchmen({ config, paths, secrets, socketDir, log, feed });
  const links = linkPeers(config.name, certificates.current, log, feed);
  const perform = performer({
    config,
    clock,
    store,
    server,
    promiseFile,
    log,
    state: () => runner.state,
    send: (to, message) => links.send(to, toJson(message)),
    setDeadline: (deadline) => watchmen.setDeadline(deadline),
    onProgress: (text) => face.progress(text),
    storeAnswered: (ok) => face.storeAnswered(ok),
    answer: (id, ok, text) => desk.answer(id, ok, text),
    exit: () => done.resolve(),
    holdProxies: () => proxies.holdForHandover(),
    releaseProxies: () => proxies.release(),
  });
  server.onEnded(() => feed({ kind: 'serverEnded' }));
  const served: Served = {
    state: () => runner.state,
    clock,
    store,
    checker,
    declaredIn: config.declaredConfig,
    decisions: face.decisions,
    status: () =>
      face.status(runner.state, config, certificates.summary, { guardPid: watchmen.guardPid, postgresPid: server.pid() }),
    parameters: () => server.parametersInForce(),
    notes: () => [...certificates.explain(), ...face.notes(), ...notesOnRoles(server.refusedRoles)],
    command: commandsTo({ desk, feed, proxies, leads }),
  };
  const identity = () => certificates.current;
  const doors = await openDoors({ config, socketPath: paths.socket, identity, served, server, face, links, proxies, log });
  await watchmen.start();
  proxies.configured(dynamic.proxy);
  followStore(options, parts, { links, face, feed, proxies, leads });
  keepCertificates(options, parts, [doors, links]);
  const stopTicking = tick(feed, dynamic.timings.heartbeatMs);
  log.info('agent', `${config.name} of ${config.cluster} is up`);
  await done.promise;
  stopTicking();
  runner.stop();
  await doors.close();
  links.close();
  proxies.close();
  await watchmen.stop(signal.aborted);
  for (const part of [server, store, checker, podLabels]) await part?.close();
}

/** Returns what ends it. */
function tick(feed: (event: HaEvent) => void, heartbeatMs: number): () => void {
  const now = () => feed({ kind: 'tick', wall: new Date().toISOString() });
  const timer = setInterval(now, heartbeatMs / TICKS_PER_HEARTBEAT);
  return () => clearInterval(timer);
}

interface Commanded {
  readonly desk: CommandDesk;
  readonly feed: (event: HaEvent) => void;
  readonly proxies: ProxyDesk;
  readonly leads: () => boolean;
}

function commandsTo({ desk, feed, proxies, leads }: Commanded): Served['command'] {
  return (request, aborted) => {
    const ask = () => desk.ask((id) => feed({ kind: 'command', command: { ...request, id } as Command }), aborted);
    // Before the core hears of it: while the proxies are waited for, it goes on proving its leadership as ever.
    return request.kind === 'restart' && leads() ? proxies.holdDuring(ask) : ask();
  };
}

function notesOnRoles(refused: readonly string[]): readonly ExplainLine[] {
  return refused.map((name) => ({
    rule: 'proxy',
    holds: false,
    text: `no proxy can log in as ${JSON.stringify(name)} by its certificate: no file of PostgreSQL can express the name`,
    toChange: 'a password (SCRAM) for the role, or another name',
  }));
}

type Parts = Awaited<ReturnType<typeof openParts>>;

interface Fed {
  readonly links: PeerLinks;
  readonly face: AgentFace;
  readonly feed: (event: HaEvent) => void;
  readonly proxies: ProxyDesk;
  readonly leads: () => boolean;
}

function followStore({ config, checker, log, signal }: AgentOptions, parts: Parts, fed: Fed): void {
  const { links, face, feed, proxies, leads } = fed;
  const { store, dynamicConfig, server } = parts;
  const declarations = new Declarations({ config, checker, store, server, leads, log, signal });
  void declarations.follow();
  const addresses = new AddressBook(config.name);
  stayMember(store, config.name, signal);
  watchStore({
    store,
    checker,
    feed,
    onConfig: (next) => {
      void dynamicConfig.remember(next);
      proxies.configured(next.proxy);
      declarations.heard(next);
      void server.useAccess(next.postgresql.hba);
      server.updateParameters(next.postgresql.parameters).then(
        (names) => face.pendingRestart(names),
        // It is full, starting or gone: its next start reads the file that is written then.
        (error: Error) => log.warn('config', `the parameters are not known to be in force: ${error.message}`),
      );
    },
    onMembers: (members, left) => links.setPeers(addresses.learn(members, left)),
    onRubbish: (key, why) => face.passedOver(key, why),
    onRead: (key) => face.passedOver(key, null),
    signal,
  });
}

/** New files in `tlsDir` are put to use while everything goes on. */
function keepCertificates(
  { log, signal }: AgentOptions,
  { server, certificates }: Parts,
  users: readonly { setIdentity(tls: TlsIdentity): void }[],
): void {
  const use = async (tls: TlsIdentity) => {
    for (const user of users) user.setIdentity(tls);
    await server.useTls(tls);
  };
  // A server that runs on from before may have been started with other ones.
  void server.useTls(certificates.current).catch((error: Error) => log.warn('tls', error.message));
  void certificates.watch(use, signal);
}

/** What is no message is passed over: an agent of another release may have more kinds. */
function linkPeers(self: MemberName, tls: TlsIdentity, log: AgentLog, feed: (event: HaEvent) => void): PeerLinks {
  const told = new Set<string>();
  // Once for each member and kind: a newer release may send it five times a second.
  const unreadable = (from: MemberName, json: unknown) => {
    const what = `${from} sends messages that this release does not read: ${kindOf(json)}`;
    if (told.has(what) || told.size >= MAX_TOLD) return;
    told.add(what);
    log.warn('peers', what);
  };
  return createPeerLinks({
    self,
    tls,
    onMessage: (from, json) => {
      const message = readMessage(json);
      if (message === undefined) return unreadable(from, json);
      feed({ kind: 'received', from, message });
    },
    onLost: (peer) => log.info('peers', `the link to ${peer} is lost`),
  });
}

function kindOf(json: unknown): string {
  const kind = (json as { readonly kind?: unknown } | null)?.kind;
  return typeof kind === 'string' ? kind.slice(0, 40) : 'without a kind';
}

async function readSecrets(file: string, checker: ConfigChecker): Promise<Secrets> {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    return fail('config.unreadable', (error as Error).message, error);
  }
  return checker.secrets(text, file);
}
