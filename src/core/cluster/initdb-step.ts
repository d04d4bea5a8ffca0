import { DEFAULT_INITDB, type Initdb, initdbSchema } from '#domain/config/initdb.ts';
import type { PostgresCluster } from '#domain/config/postgres-cluster.ts';
import type { KubeObject } from '#domain/kubernetes/kube-object.ts';
import { ANNOTATION } from '#domain/kubernetes/labels.ts';
import { objectNames } from '#domain/kubernetes/object-names.ts';
import { POD } from '#domain/kubernetes/pod-layout.ts';
import type { Refusal } from './action.ts';
import { fieldsOf, find } from './member-facts.ts';
import type { Observed } from './observed.ts';

export interface InitdbStep {
  /** What members are told. */
  readonly initdb: Initdb;
  readonly refused: readonly Refusal[];
}

/** As it is kept in objects; undefined for what every cluster has that says nothing. */
export function initdbText(initdb: Initdb): string | undefined {
  const text = JSON.stringify(initdb);
  return text === JSON.stringify(DEFAULT_INITDB) ? undefined : text;
}

/** What the first server was made with, or is about to be, stays as it was. */
export function initdbStep(
  { name, spec }: PostgresCluster,
  { objects, leader }: Pick<Observed, 'objects' | 'leader'>,
): InitdbStep {
  const wanted = spec.bootstrap.initdb;
  const present = presentOf(name, objects, leader !== null);
  if (present === undefined) return { initdb: wanted, refused: [] };
  const differing = (Object.keys(present) as (keyof Initdb)[]).filter((field) => wanted[field] !== present[field]);
  return {
    initdb: present,
    refused: differing.map((field) => ({
      field: `spec.bootstrap.initdb.${field}`,
      message: `cannot be changed from ${present[field]} to ${wanted[field]}: the first member was made with it, and the others are its copies; make a new cluster beside it and move the data by pg_dump or logical replication`,
    })),
  };
}

/** Undefined: nothing has been made yet. Clusters of a release before were made with the defaults. */
function presentOf(name: string, objects: readonly KubeObject[], isEstablished: boolean): Initdb | undefined {
  const names = objectNames(name);
  const set = find(objects, 'StatefulSet', names.statefulSet);
  if (set !== undefined) return read(environmentOf(set)[POD.env.initdb]);
  // The set goes with the resource; the records stay as long as the data.
  if (isEstablished) return read(find(objects, 'ConfigMap', names.recordsConfigMap)?.metadata.annotations?.[ANNOTATION.initdb]);
  return undefined;
}

function read(text: unknown): Initdb {
  if (typeof text !== 'string') return DEFAULT_INITDB;
  try {
    return initdbSchema.parse(JSON.parse(text));
  } catch {
    return DEFAULT_INITDB;
  }
}

function environmentOf(set: KubeObject): Readonly<Record<string, unknown>> {
  const { containers } = fieldsOf(fieldsOf(fieldsOf(set.spec).template).spec);
  const [container] = (containers ?? []) as readonly unknown[];
  const variables = (fieldsOf(container).env ?? []) as readonly { readonly name: string; readonly value?: unknown }[];
  return Object.fromEntries(variables.map(({ name, value }) => [name, value]));
}
