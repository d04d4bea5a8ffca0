import type { PostgresCluster } from '#domain/config/postgres-cluster.ts';
import type { KubeObject } from '#domain/kubernetes/kube-object.ts';
import { parseResourceQuantity } from '#domain/kubernetes/resource-quantity.ts';
import type { Refusal } from './action.ts';
import { type ClaimFacts, claimFacts, setFacts } from './member-facts.ts';
import type { StatefulSetState, VolumeState } from './stateful-set.ts';
import type { Volume } from './volumes.ts';

export interface StorageStep {
  /** What the StatefulSet's templates are to say. */
  readonly volumes: StatefulSetState['volumes'];
  /** Claims that ask for less. */
  readonly grow: readonly { readonly claim: string; readonly size: string; readonly because: string }[];
  /** Kubernetes changes no template of claims: the StatefulSet has to be made anew, around its pods. */
  readonly recreate: boolean;
  readonly refused: readonly Refusal[];
}

const FIELD: Readonly<Record<Volume, string>> = { data: 'spec.storage', wal: 'spec.walStorage' };
const BESIDE = 'make a new cluster beside it and move the data by pg_dump or logical replication';
const bytes = (size: string) => parseResourceQuantity(size) ?? 0;

/** Volumes grow. What shrinks, changes its class, comes or goes is refused, and stays as it is. */
export function storageStep({ name, spec }: PostgresCluster, objects: readonly KubeObject[]): StorageStep {
  const set = setFacts(name, objects);
  const claims = claimFacts(name, objects);
  const of = (volume: Volume) => claims.filter((claim) => claim.volume === volume);
  const data = volumeStep('data', spec.storage, set?.volumes.data, of('data'));
  const made = set !== undefined || of('data').length > 0;
  const isThere = set === undefined ? of('wal').length > 0 : set.volumes.wal !== undefined;
  const misfit = made ? comesOrGoes(spec.walStorage !== undefined, isThere) : [];
  const wal = (made ? isThere : spec.walStorage !== undefined)
    ? volumeStep('wal', spec.walStorage, set?.volumes.wal, of('wal'))
    : undefined;
  const steps = [data, ...(wal === undefined ? [] : [wal])];
  return {
    volumes: { data: data.state, ...(wal === undefined ? {} : { wal: wal.state }) },
    grow: steps.flatMap(({ grow }) => grow),
    recreate: steps.some(({ recreate }) => recreate),
    refused: [...steps.flatMap(({ refused }) => refused), ...misfit],
  };
}

function comesOrGoes(isWanted: boolean, isThere: boolean): readonly Refusal[] {
  if (isWanted === isThere) return [];
  const message = isWanted
    ? `cannot be added to a cluster whose members have their write-ahead log with their data; ${BESIDE}`
    : `cannot be taken from a cluster whose members have a volume for their write-ahead log; ${BESIDE}`;
  return [{ field: FIELD.wal, message }];
}

interface VolumeStep extends Pick<StorageStep, 'grow' | 'recreate' | 'refused'> {
  readonly state: VolumeState;
}

/** `wanted` undefined: as it is. `template`: of the StatefulSet, where there is one. */
function volumeStep(
  volume: Volume,
  wanted: VolumeState | undefined,
  template: VolumeState | undefined,
  claims: readonly ClaimFacts[],
): VolumeStep {
  const sizes = [template?.size, ...claims.map(({ requested }) => requested)].filter((size) => size !== undefined);
  const largest = sizes.reduce((one, other) => (bytes(other) > bytes(one) ? other : one), sizes[0] ?? wanted?.size ?? '0');
  const made = template !== undefined || claims.length > 0;
  const present = template === undefined ? claims[0]?.storageClass : template.storageClass;
  const { size, storageClass } = wanted ?? { size: largest, storageClass: present };
  const shrinks = bytes(size) < bytes(largest);
  const otherClass = made && storageClass !== undefined && storageClass !== present;
  const target = shrinks ? largest : size;
  const field = FIELD[volume];
  return {
    state: { size: target, storageClass: template === undefined && !otherClass ? storageClass : present },
    grow: claims
      .filter(({ requested }) => bytes(requested) < bytes(target))
      .map(({ name }) => ({ claim: name, size: target, because: `${field.slice('spec.'.length)}.size is ${target}` })),
    recreate: template !== undefined && bytes(template.size) !== bytes(target),
    refused: [
      ...(shrinks ? [{ field: `${field}.size`, message: `a volume cannot shrink from ${largest} to ${size}; ${BESIDE}` }] : []),
      ...(otherClass
        ? [
            {
              field: `${field}.storageClass`,
              message: `cannot be changed from ${present ?? 'the default one'} to ${storageClass}; ${BESIDE}`,
            },
          ]
        : []),
    ],
  };
}
