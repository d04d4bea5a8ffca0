import type { KubeObject } from '#domain/kubernetes/kube-object.ts';
import { fieldsOf, find } from './member-facts.ts';
import { claimName, VOLUMES } from './volumes.ts';

/** Passing states of a container that starts. */
const USUAL = ['ContainerCreating', 'PodInitializing'];

/** What keeps a pod from running, as Kubernetes says it: it has no node, no volume, no image, or its container ends again and again. */
export function podTrouble(pod: KubeObject, objects: readonly KubeObject[]): string | undefined {
  return volumeTrouble(pod, objects) ?? placeTrouble(pod) ?? containerTrouble(pod);
}

function volumeTrouble({ metadata }: KubeObject, objects: readonly KubeObject[]): string | undefined {
  for (const name of VOLUMES.map((volume) => claimName(volume, metadata.name))) {
    const claim = find(objects, 'PersistentVolumeClaim', name);
    if (claim === undefined || fieldsOf(claim.status).phase !== 'Pending') continue;
    const { storageClassName } = fieldsOf(claim.spec);
    const of = typeof storageClassName === 'string' ? ` of the storage class ${storageClassName}` : '';
    return `has no volume yet (PersistentVolumeClaim ${name}${of})`;
  }
  return undefined;
}

function placeTrouble({ status }: KubeObject): string | undefined {
  const conditions = (fieldsOf(status).conditions ?? []) as readonly Readonly<Record<string, unknown>>[];
  const scheduled = conditions.find(({ type }) => type === 'PodScheduled');
  return scheduled?.status === 'False' ? `has no node: ${scheduled.message ?? scheduled.reason}` : undefined;
}

function containerTrouble({ status }: KubeObject): string | undefined {
  const containers = (fieldsOf(status).containerStatuses ?? []) as readonly Readonly<Record<string, unknown>>[];
  for (const { state } of containers) {
    const { reason, message } = fieldsOf(fieldsOf(state).waiting);
    if (typeof reason === 'string' && !USUAL.includes(reason)) return message === undefined ? reason : `${reason}: ${message}`;
  }
  return undefined;
}
