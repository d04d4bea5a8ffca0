import { callApi } from '#adapters/http/call-api.ts';
import type { TlsIdentity } from '#adapters/tls/tls-files.ts';
import type { Observed } from '#core/cluster/observed.ts';
import { ORDERED_PARAMETERS } from '#core/cluster/ordered-parameters.ts';
import type { KubeObject } from '#domain/kubernetes/kube-object.ts';
import { LABEL } from '#domain/kubernetes/labels.ts';
import { POD } from '#domain/kubernetes/pod-layout.ts';
import type { MemberName } from '#domain/member.ts';
import type { AgentStatus, TlsSummary } from '#domain/status.ts';

/** An agent that does not answer within this counts as silent; its pod may be gone, and answers nothing at all then. */
const LOOK_MS = 3000;
/** A switchover waits for transactions, a restart for a checkpoint. */
const COMMAND_MS = 120_000;
/** A pod whose agent is not up yet answers at once or never. */
const ASK_MS = 1000;
const MAX_WHY = 500;

interface ServerParameters {
  readonly values: Readonly<Record<string, string>>;
  readonly pendingRestart: readonly string[];
  /** An agent of a release before says nothing of them. */
  readonly refused?: Readonly<Record<string, string>>;
}

/** Where the agent of a member listens. */
interface AgentAddress {
  readonly name: MemberName;
  readonly host: string;
}

/** The agents of one cluster, called as one who holds a certificate of its authority. */
export class AgentCalls {
  readonly #tls: TlsIdentity;
  readonly #agents: readonly AgentAddress[];

  constructor(tls: TlsIdentity, objects: readonly KubeObject[]) {
    this.#tls = tls;
    this.#agents = objects.flatMap((object) => addressOf(object) ?? []);
  }

  /** Of those that answer; of the others, what their pods say. */
  async look(signal: AbortSignal): Promise<Required<Pick<Observed, 'views' | 'waiting'>>> {
    const answers = await Promise.all(this.#agents.map((agent) => this.#look(agent, signal)));
    const silent = this.#agents.filter((_, index) => answers[index] === undefined);
    const said = await Promise.all(silent.map(async ({ name, host }) => [name, await whatItWaitsFor(host, signal)] as const));
    return {
      views: viewsOf(answers.flatMap((answer) => answer ?? [])),
      waiting: Object.fromEntries(said.flatMap(([name, why]) => (why === undefined ? [] : [[name, why]]))),
    };
  }

  /** What the agent says to it. Errors: `agent.unreachable`, `request.refused`, … */
  async command(member: MemberName, path: string, body: unknown, signal: AbortSignal): Promise<string> {
    const { json } = await callApi(this.#target(this.#find(member)), 'POST', path, { body, timeoutMs: COMMAND_MS, signal });
    const { text } = (json ?? {}) as { text?: unknown };
    return typeof text === 'string' ? text : 'done';
  }

  /** Anybody will do. */
  get first(): MemberName | undefined {
    return this.#agents[0]?.name;
  }

  async #look(agent: AgentAddress, signal: AbortSignal): Promise<Answer | undefined> {
    const ask = async (path: string) => (await callApi(this.#target(agent), 'GET', path, { timeoutMs: LOOK_MS, signal })).json;
    try {
      const [status, parameters] = await Promise.all([ask('/status'), ask('/parameters').catch(() => undefined)]);
      return { status: status as AgentStatus, parameters: parameters as ServerParameters | undefined };
    } catch {
      return undefined;
    }
  }

  #find(member: MemberName): AgentAddress {
    // A name without an address is called in vain, and says so.
    return this.#agents.find(({ name }) => name === member) ?? { name: member, host: `${member}.invalid` };
  }

  #target({ name, host }: AgentAddress) {
    return { host, port: POD.apiPort, name, tls: this.#tls };
  }
}

/** What tells what a member lives by from what it lived by before. */
export function fingerprint({ certificate, authorities }: Pick<TlsSummary, 'certificate' | 'authorities'>): string {
  return [certificate, ...authorities].join(' ');
}

interface Answer {
  readonly status: AgentStatus;
  readonly parameters: ServerParameters | undefined;
}

function viewsOf(answers: readonly Answer[]): Observed['views'] {
  const lags = new Map(
    answers.flatMap(({ status }) =>
      status.followers.map(({ incarnation, lagBytes, streaming }) => [incarnation, streaming ? lagBytes : null]),
    ),
  );
  return Object.fromEntries(
    answers.map(({ status: { self }, parameters }) => [
      self.name,
      {
        role: self.role,
        state: self.state,
        lagBytes: self.role === 'primary' ? 0 : (lags.get(self.incarnation) ?? null),
        parameters: numbersOf(parameters?.values ?? {}),
        pendingRestart: parameters?.pendingRestart ?? [],
        tls: fingerprint(self.tls),
        refusedParameters: parameters?.refused ?? {},
      },
    ]),
  );
}

/** The page of a container whose agent cannot start yet. */
async function whatItWaitsFor(host: string, signal: AbortSignal): Promise<string | undefined> {
  const address = host.includes(':') ? `[${host}]` : host;
  try {
    const answer = await fetch(`http://${address}:${POD.healthPort}${POD.waitingPath}`, {
      signal: AbortSignal.any([signal, AbortSignal.timeout(ASK_MS)]),
    });
    return answer.ok ? (await answer.text()).trim().slice(0, MAX_WHY) : undefined;
  } catch {
    return undefined;
  }
}

function addressOf({ kind, metadata, status }: KubeObject): AgentAddress | undefined {
  const { podIP, phase } = (status ?? {}) as { podIP?: unknown; phase?: unknown };
  if (kind !== 'Pod' || metadata.labels?.[LABEL.component] !== 'postgresql') return undefined;
  return typeof podIP === 'string' && phase === 'Running' ? { name: metadata.name, host: podIP } : undefined;
}

function numbersOf(values: Readonly<Record<string, string>>): Readonly<Record<string, number>> {
  const known = Object.keys(ORDERED_PARAMETERS).filter((name) => Number.isFinite(Number(values[name] ?? Number.NaN)));
  return Object.fromEntries(known.map((name) => [name, Number(values[name])]));
}
