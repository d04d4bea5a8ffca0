import type { KubeObject } from '#domain/kubernetes/kube-object.ts';
import { ANNOTATION } from '#domain/kubernetes/labels.ts';
import { objectNames } from '#domain/kubernetes/object-names.ts';
import type { Action } from './action.ts';
import { fieldsOf, find } from './member-facts.ts';

/**
 * A kubelet looks once a minute whether a mounted ConfigMap has changed, and at once when its pod has: whichever pod has been told of an
 * older state of the configuration is told of the present one.
 */
export function nudges(cluster: string, objects: readonly KubeObject[]): readonly Action[] {
  const version = find(objects, 'ConfigMap', objectNames(cluster).configMap)?.metadata.resourceVersion;
  if (typeof version !== 'string') return [];
  return objects
    .filter(({ kind, metadata, status }) => kind === 'Pod' && metadata.deletionTimestamp === undefined && isRunning(status))
    .filter(({ metadata }) => metadata.annotations?.[ANNOTATION.configVersion] !== version)
    .map(({ metadata: { name } }) => ({ kind: 'nudge', pod: name, version, because: 'the configuration has changed' }));
}

function isRunning(status: unknown): boolean {
  return fieldsOf(status).phase === 'Running';
}
