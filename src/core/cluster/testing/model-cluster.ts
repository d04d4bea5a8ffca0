import type { KubeObject } from '#domain/kubernetes/kube-object.ts';
import { ANNOTATION } from '#domain/kubernetes/labels.ts';
import type { Action } from '../action.ts';
import { fieldsOf } from '../member-facts.ts';
import { labelsOf } from '../object.ts';
import type { MemberView, Observed } from '../observed.ts';
import { ORDERED_PARAMETERS } from '../ordered-parameters.ts';
import { ordinalOf } from '../ordinal-of.ts';

interface ModelMember {
  readonly ordinal: number;
  revision: string;
  /** Ticks until it leads or follows again. */
  startsIn: number;
  /** As its server runs. */
  inForce: Readonly<Record<string, string>>;
  /** As its files say. */
  files: Readonly<Record<string, string>>;
  broken: boolean;
  /** Of the ConfigMap that its pod was last told of. */
  told: string;
}

const DEFAULTS = {
  ...Object.fromEntries(Object.entries(ORDERED_PARAMETERS).map(([name, value]) => [name, String(value)])),
  shared_buffers: '128MB',
};
const key = ({ kind, metadata }: KubeObject) => `${kind}/${metadata.name}`;

/**
 * The API server, the controllers and the agents as far as a plan depends on them, one tick at a time. It throws where the real ones would
 * refuse, or where a plan takes away what it must not.
 */
export class ModelCluster {
  readonly objects = new Map<string, KubeObject>();
  readonly members = new Map<string, ModelMember>();
  readonly claims = new Map<string, string>();
  readonly known = new Set<string>();
  /** Members that were restarted or replaced by a plan, in order. */
  readonly disrupted: string[] = [];
  primary: string | undefined;
  epoch = 0;
  /** What PostgreSQL says of the parameters in its files. */
  refusedParameters: Readonly<Record<string, string>> = {};
  readonly #name: string;
  #generation = 0;

  constructor(name: string) {
    this.#name = name;
  }

  observe(): Observed {
    const pods = [...this.members].map(([name, member]) => this.#pod(name, member));
    const claims = [...this.claims].map(([name, size]) =>
      this.#object('v1', 'PersistentVolumeClaim', name, { spec: request(size) }),
    );
    return {
      objects: [...this.objects.values(), ...pods, ...claims],
      views: Object.fromEntries(
        [...this.members].filter(([, { broken }]) => !broken).map(([name, member]) => [name, this.#view(name, member)]),
      ),
      leader: this.primary === undefined ? null : { member: this.primary, epoch: this.epoch, timeline: this.epoch },
      known: [...this.known],
      config: null,
    };
  }

  do(action: Action): void {
    switch (action.kind) {
      case 'apply':
        return this.#apply(action.object);
      case 'delete':
        if (!action.orphan && action.object.kind === 'StatefulSet') throw new Error('its pods would go with it');
        return void this.objects.delete(`${action.object.kind}/${action.object.name}`);
      case 'growClaim':
        return void this.claims.set(action.claim, action.size);
      case 'nudge':
        return this.#nudge(action.pod, action.version);
      case 'forget':
        return void this.known.delete(action.member);
      case 'switchover':
        return this.#switchover(action.from, action.to);
      case 'restartServer':
        return this.#restart(action.member, false);
      case 'replacePod':
        return this.#restart(action.member, true);
    }
  }

  tick(): void {
    this.#controlStatefulSet();
    for (const [name, member] of this.members) {
      if (member.startsIn > 0) member.startsIn -= 1;
      member.files = { ...DEFAULTS, ...this.#configured() };
      this.known.add(name);
    }
    if (this.primary === undefined || !this.members.has(this.primary)) this.#elect();
  }

  get revision(): string {
    return JSON.stringify(fieldsOf(this.objects.get(`StatefulSet/${this.#name}`)?.spec).template ?? null);
  }

  #controlStatefulSet(): void {
    const set = this.objects.get(`StatefulSet/${this.#name}`);
    if (set === undefined) return;
    const replicas = Number(fieldsOf(set.spec).replicas);
    this.objects.set(key(set), {
      ...set,
      status: { observedGeneration: set.metadata.generation, updateRevision: this.revision },
    });
    for (const [name, { ordinal }] of [...this.members])
      if (ordinal >= replicas) {
        if (name === this.primary) throw new Error(`${name} leads and is scaled away`);
        this.members.delete(name);
      }
    for (let ordinal = 0; ordinal < replicas; ordinal++) {
      const name = `${this.#name}-${ordinal}`;
      for (const { metadata, spec } of templatesOfClaims(set).map(fieldsOf)) {
        const claim = `${fieldsOf(metadata).name}-${name}`;
        const { storage } = fieldsOf(fieldsOf(fieldsOf(spec).resources).requests);
        if (!this.claims.has(claim)) this.claims.set(claim, String(storage));
      }
      if (this.members.has(name)) continue;
      const files = { ...DEFAULTS, ...this.#configured() };
      this.members.set(name, { ordinal, revision: this.revision, startsIn: 2, inForce: files, files, broken: false, told: '' });
    }
  }

  #elect(): void {
    const next = [...this.members].find(([, { startsIn, broken }]) => startsIn === 0 && !broken);
    this.primary = next?.[0];
    this.epoch += 1;
  }

  #apply(object: KubeObject): void {
    const old = this.objects.get(key(object));
    if (
      old !== undefined &&
      object.kind === 'StatefulSet' &&
      JSON.stringify(templatesOfClaims(old)) !== JSON.stringify(templatesOfClaims(object))
    )
      throw new Error('the template of claims cannot be changed');
    this.#generation += 1;
    const status = old?.status;
    this.objects.set(key(object), {
      ...object,
      metadata: { ...object.metadata, generation: this.#generation, resourceVersion: String(this.#generation) },
      ...(status === undefined ? {} : { status }),
    });
  }

  #switchover(from: string, to: string): void {
    if (from !== this.primary) throw new Error(`${from} does not lead`);
    this.#takeAway(from);
    this.primary = to;
    this.epoch += 1;
    this.#start(from);
  }

  #restart(name: string, anew: boolean): void {
    this.#takeAway(name);
    const member = this.#member(name);
    if (anew) {
      member.revision = this.revision;
      member.broken = false;
    }
    if (name === this.primary && this.members.size > 1 && anew)
      throw new Error(`${name} leads and is replaced without a switchover`);
    this.#start(name);
  }

  #takeAway(name: string): void {
    const others = [...this.members].filter(([one, { startsIn, broken }]) => one !== name && (startsIn > 0 || broken));
    const down = this.#member(name).startsIn > 0 || this.#member(name).broken;
    if (!down && others.length > 0)
      throw new Error(`${name} is taken away while ${others.map(([one]) => one).join(', ')} is down`);
    this.disrupted.push(name);
  }

  #start(name: string): void {
    const member = this.#member(name);
    member.inForce = member.files;
    member.startsIn = 2;
    const leader = this.primary === undefined ? undefined : this.members.get(this.primary);
    if (leader === undefined || leader === member) return;
    for (const parameter of Object.keys(ORDERED_PARAMETERS))
      if (Number(member.inForce[parameter]) < Number(leader.inForce[parameter]))
        throw new Error(`${name} starts with less ${parameter} than the primary has`);
  }

  #configured(): Readonly<Record<string, string>> {
    const text = fieldsOf(this.objects.get(`ConfigMap/${this.#name}-config`)?.data)['cluster.yaml'];
    return text === undefined
      ? {}
      : (JSON.parse(String(text)) as { postgresql: { parameters: Record<string, string> } }).postgresql.parameters;
  }

  #nudge(pod: string, version: string): void {
    if (this.#member(pod).told === version) throw new Error(`${pod} is told once more`);
    this.#member(pod).told = version;
  }

  #member(name: string): ModelMember {
    const found = this.members.get(name);
    if (found === undefined) throw new Error(`there is no ${name}`);
    return found;
  }

  #view(name: string, { startsIn, inForce, files }: ModelMember): MemberView {
    const primary = name === this.primary;
    return {
      role: startsIn > 0 ? 'none' : primary ? 'primary' : 'standby',
      state: startsIn > 0 ? 'starting' : primary ? 'primary' : 'streaming',
      lagBytes: primary || startsIn > 0 ? null : ordinalOf(this.#name, name) === undefined ? 0 : 16,
      parameters: Object.fromEntries(Object.keys(ORDERED_PARAMETERS).map((one) => [one, Number(inForce[one])])),
      tls: '',
      refusedParameters: this.refusedParameters,
      pendingRestart: Object.keys(files).filter((one) => files[one] !== inForce[one]),
    };
  }

  #pod(name: string, { revision, startsIn, broken, told }: ModelMember): KubeObject {
    const labels = { ...labelsOf({ name: this.#name }, 'postgresql'), 'controller-revision-hash': revision };
    const conditions = [{ type: 'Ready', status: startsIn === 0 && !broken ? 'True' : 'False' }];
    const metadata = { name, labels, annotations: { [ANNOTATION.configVersion]: told } };
    return { apiVersion: 'v1', kind: 'Pod', metadata, status: { phase: 'Running', conditions } };
  }

  #object(apiVersion: string, kind: string, name: string, body: Readonly<Record<string, unknown>>): KubeObject {
    return { apiVersion, kind, metadata: { name, labels: labelsOf({ name: this.#name }, 'postgresql') }, ...body };
  }
}

function request(storage: string) {
  return { resources: { requests: { storage } } };
}

function templatesOfClaims(set: KubeObject): readonly unknown[] {
  return fieldsOf(set.spec).volumeClaimTemplates as readonly unknown[];
}
