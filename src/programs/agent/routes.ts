import type { ApiRequest, ApiResponse, Route } from '#adapters/http/router.ts';
import type { ParametersInForce } from '#adapters/postgres/postgres-server.ts';
import type { Command } from '#core/ha/events.ts';
import { explain } from '#core/ha/explain.ts';
import type { HaState } from '#core/ha/state.ts';
import { fail } from '#domain/errors.ts';
import type { Store } from '#domain/ports/store.ts';
import type { AgentStatus, ExplainLine } from '#domain/status.ts';
import type { ConfigChecker } from '#programs/config-check/config-checker.ts';
import type { DecisionLog } from './decision-log.ts';
import { forgetMember } from './leaving.ts';
import { toJson } from './record-json.ts';
import { readHistoryEntry } from './shapes.ts';

/** A person's request without its id, which the agent gives. */
export type Request = Command extends infer C ? (C extends Command ? Omit<C, 'id'> : never) : never;

export interface Served {
  readonly state: () => HaState;
  readonly clock: () => number;
  readonly status: () => AgentStatus;
  /** What `explain` tells besides the decisions of the core. */
  readonly notes: () => readonly ExplainLine[];
  readonly decisions: DecisionLog;
  /** As the server runs with them. Rejects when it does not answer in time. */
  readonly parameters: () => Promise<ParametersInForce>;
  readonly store: Store;
  readonly checker: ConfigChecker;
  /** The file that declares the configuration; undefined where people change it in the store. */
  readonly declaredIn: string | undefined;
  /** Resolves when the core has answered; rejects with `request.refused`. */
  readonly command: (request: Request, signal: AbortSignal) => Promise<string>;
}

/** The agent's API. Everything but the health check needs the owner's socket or a certificate of the cluster. */
export function routes(served: Served): readonly Route[] {
  const commanded = async (request: Request, signal: AbortSignal): Promise<ApiResponse> => ({
    status: 200,
    json: { text: await served.command(request, signal) },
  });
  return [
    { method: 'GET', path: '/status', forProxies: true, handle: () => ok(toJson(served.status())) },
    { method: 'GET', path: '/health', public: true, handle: () => health(served.state()) },
    get('/explain', () => {
      const { summary, lines } = explain(served.state(), served.clock());
      return ok({
        member: served.state().self.name,
        summary,
        lines: [...lines, ...served.notes()],
        recent: served.decisions.recent,
      });
    }),
    get('/parameters', async () => ok(await served.parameters())),
    get('/history', async ({ signal }) => {
      const rows = await served.store.list('history/', { signal });
      const entries = rows.map((row) => readHistoryEntry(row.value)).filter((entry) => entry !== undefined);
      return ok(toJson(entries.sort((a, b) => a.epoch - b.epoch)));
    }),
    get('/config', async ({ signal }) => {
      const found = await served.store.get('config', { signal });
      return ok({ version: found?.version ?? 0, config: found?.value ?? (await served.checker.cluster({}, 'defaults')) });
    }),
    { method: 'PUT', path: '/config', handle: (request) => putConfig(served, request) },
    post('/pause', ({ signal }) => setPaused(served, true, signal)),
    post('/resume', ({ signal }) => setPaused(served, false, signal)),
    post('/switchover', ({ body, signal }) => {
      const to = memberField(body);
      return commanded({ kind: 'switchover', ...(to === undefined ? {} : { to }) }, signal);
    }),
    post('/failover', ({ body, signal }) =>
      commanded({ kind: 'failover', allowDataLoss: flagField(body, 'allowDataLoss') }, signal),
    ),
    post('/restart', ({ signal }) => commanded({ kind: 'restart' }, signal)),
    post('/forget', (request) => forget(served, request)),
    post('/reinit', ({ signal }) => commanded({ kind: 'reinit' }, signal)),
    post('/shutdown', ({ body, signal }) => commanded({ kind: 'shutdown', handOver: flagField(body, 'handOver') }, signal)),
  ];
}

async function forget({ state, store }: Served, { body, signal }: ApiRequest): Promise<ApiResponse> {
  const { member } = (body ?? {}) as { readonly member?: unknown };
  if (typeof member !== 'string') return fail('api.malformed', '`member` must be the name of a member');
  await forgetMember(store, state, member, signal);
  return ok({ text: `${member} has left` });
}

const ok = (json: unknown): ApiResponse => ({ status: 200, json });

function get(path: string, handle: Route['handle']): Route {
  return { method: 'GET', path, handle };
}

function post(path: string, handle: Route['handle']): Route {
  return { method: 'POST', path, handle };
}

/** 200 while the server answers queries. */
function health(state: HaState): ApiResponse {
  const up = state.server?.state === 'primary' || state.server?.state === 'standby';
  return { status: up ? 200 : 503, json: { state: state.published?.state ?? 'starting' } };
}

function memberField(body: unknown): string | undefined {
  const to = (body as { to?: unknown } | null | undefined)?.to;
  if (to === undefined || to === null) return undefined;
  if (typeof to !== 'string') return fail('api.malformed', '`to` must be the name of a member');
  return to;
}

function flagField(body: unknown, name: string): boolean {
  const value = (body as Record<string, unknown> | null | undefined)?.[name];
  if (value === undefined) return false;
  if (typeof value !== 'boolean') return fail('api.malformed', `\`${name}\` must be true or false`);
  return value;
}

async function putConfig({ store, checker, declaredIn }: Served, { body, signal }: ApiRequest): Promise<ApiResponse> {
  if (declaredIn !== undefined) fail('request.refused', `the configuration is declared in ${declaredIn}: change it there`);
  const { version, config } = (body ?? {}) as { readonly version?: unknown; readonly config?: unknown };
  if (typeof version !== 'number') return fail('api.malformed', '`version` must be the number that GET /config gave');
  const checked = await checker.cluster(config, 'config');
  const outcome = await store.compareAndSet('config', version === 0 ? null : version, checked, { signal });
  if (!outcome.ok) return fail('config.conflict', `it is at version ${outcome.current?.version ?? 0}, not ${version}`);
  return ok({ version: outcome.version, config: checked });
}

async function setPaused({ store, checker }: Served, paused: boolean, signal: AbortSignal): Promise<ApiResponse> {
  const found = await store.get('config', { signal });
  const config = { ...(await checker.cluster(found?.value ?? {}, 'config')), paused };
  const outcome = await store.compareAndSet('config', found?.version ?? null, config, { signal });
  if (!outcome.ok) return fail('config.conflict', 'somebody else changed the configuration at this moment');
  return ok({ text: paused ? 'paused' : 'resumed' });
}
