import { readCell } from '#adapters/store/kubernetes/cells.ts';
import { textsIn } from '#adapters/store/kubernetes/places.ts';
import type { Observed } from '#core/cluster/observed.ts';
import { parseClusterConfig } from '#domain/config/parse-config.ts';
import type { KubeObject } from '#domain/kubernetes/kube-object.ts';
import { LABEL } from '#domain/kubernetes/labels.ts';
import { objectNames } from '#domain/kubernetes/object-names.ts';
import { readLeaderRecord } from '#programs/agent/shapes.ts';

/** What the agents' records say, out of the objects that hold them. What cannot be read is not known. */
export function clusterRecords(cluster: string, objects: readonly KubeObject[]): Pick<Observed, 'leader' | 'known' | 'config'> {
  const names = objectNames(cluster);
  const records = valuesOf(
    'records',
    objects.find(({ kind, metadata }) => kind === 'ConfigMap' && metadata.name === names.recordsConfigMap),
  );
  const lease = valuesOf(
    'leader',
    objects.find(({ kind, metadata }) => kind === 'Lease' && metadata.name === names.leaderLease),
  );
  const pods = objects.filter(({ kind, metadata }) => kind === 'Pod' && metadata.labels?.[LABEL.component] === 'postgresql');
  const members = [...records.keys(), ...pods.flatMap((pod) => [...valuesOf('pod', pod).keys()])];
  const said = members.flatMap((key) => (key.startsWith('members/') ? [key.slice('members/'.length)] : []));
  const record = readLeaderRecord(lease.get('leader'));
  const eligible = record?.eligible ?? [];
  const left = [...records.keys()].flatMap((key) => (key.startsWith('left/') ? [key.slice('left/'.length)] : []));
  return {
    leader: record === undefined ? null : { member: record.member, epoch: record.epoch, timeline: record.timeline },
    known: [...new Set([...said, ...eligible])].filter((name) => !left.includes(name)).sort(),
    config: readConfig(records.get('config')),
  };
}

function valuesOf(kind: 'leader' | 'records' | 'pod', object: KubeObject | undefined): ReadonlyMap<string, unknown> {
  if (object === undefined) return new Map();
  return new Map([...textsIn(kind, object)].map(([key, text]) => [key, readCell(text, 0).value]));
}

function readConfig(value: unknown): Observed['config'] {
  if (value === undefined) return null;
  try {
    return parseClusterConfig(value);
  } catch {
    return null;
  }
}
