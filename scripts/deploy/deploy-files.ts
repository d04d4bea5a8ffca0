import { DEFAULT_IMAGE } from '#domain/kubernetes/default-image.ts';
import { OPERATOR } from '#domain/kubernetes/operator-layout.ts';
import { operatorObjects } from '#domain/kubernetes/operator-objects.ts';
import { postgresClusterCrd } from '#domain/kubernetes/postgres-cluster-crd.ts';
import { chartFiles } from './chart.ts';
import { document, NOTICE } from './yaml.ts';

/** What lies in deploy/ and comes from the code, by its path there. */
export function renderDeploy(): Readonly<Record<string, string>> {
  const operator = operatorObjects({ namespace: OPERATOR.namespace, image: DEFAULT_IMAGE, replicas: 1 });
  return {
    'manifests/operator.yaml': NOTICE + [postgresClusterCrd(), ...operator].map(document).join(''),
    ...Object.fromEntries(Object.entries(chartFiles()).map(([path, text]) => [`chart/${path}`, text])),
  };
}
