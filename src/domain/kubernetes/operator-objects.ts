import { POSTGRES_CLUSTER } from '../config/postgres-cluster.ts';
import type { KubeObject } from './kube-object.ts';
import { API_GROUP } from './labels.ts';
import { OPERATOR } from './operator-layout.ts';
import { POD } from './pod-layout.ts';

const LABELS = { 'app.kubernetes.io/name': OPERATOR.name } as const;

export interface OperatorOptions {
  readonly namespace: string;
  readonly image: string;
  readonly replicas: number;
  /** The only namespace whose clusters it looks after, and in which it has any rights. Undefined: every one. */
  readonly watch?: string | undefined;
}

const ALL = ['get', 'list', 'watch', 'create', 'patch', 'delete'];
const rule = (apiGroups: readonly string[], resources: readonly string[], verbs: readonly string[]) => ({
  apiGroups,
  resources,
  verbs,
});

/** What it may do where its clusters are. What it passes on to members it must have itself: Kubernetes lets nobody give more than that. */
const OPERATOR_RULES = [
  rule([API_GROUP], [POSTGRES_CLUSTER.plural], ['get', 'list', 'watch', 'patch']),
  rule([API_GROUP], [`${POSTGRES_CLUSTER.plural}/status`, `${POSTGRES_CLUSTER.plural}/finalizers`], ['get', 'patch', 'update']),
  rule(['apps'], ['statefulsets', 'deployments'], ALL),
  rule([''], ['services', 'serviceaccounts'], ALL),
  rule([''], ['configmaps'], [...ALL, 'update']),
  rule(['coordination.k8s.io'], ['leases'], [...ALL, 'update']),
  // By name: it lists no Secrets, so that it holds none that are not its own. Those of a cluster that goes are deleted by its label.
  rule([''], ['secrets'], ['get', 'create', 'patch', 'delete', 'deletecollection']),
  rule([''], ['pods'], ['get', 'list', 'watch', 'patch', 'delete']),
  rule([''], ['persistentvolumeclaims'], ['get', 'list', 'watch', 'patch', 'delete']),
  rule(['policy'], ['poddisruptionbudgets'], ALL),
  rule(['rbac.authorization.k8s.io'], ['roles', 'rolebindings'], ALL),
  rule(['monitoring.coreos.com'], ['podmonitors'], ALL),
  rule(['', 'events.k8s.io'], ['events'], ['create', 'patch']),
];

/** Everything but the CustomResourceDefinition: namespace, rights and the Deployment. */
export function operatorObjects(options: OperatorOptions): readonly KubeObject[] {
  const { namespace, watch } = options;
  const meta = (name: string, where?: string) => ({ name, ...(where === undefined ? {} : { namespace: where }), labels: LABELS });
  const subjects = [{ kind: 'ServiceAccount', name: OPERATOR.name, namespace }];
  const rbac = 'rbac.authorization.k8s.io/v1';
  const apiGroup = 'rbac.authorization.k8s.io';
  const [role, binding] = watch === undefined ? ['ClusterRole', 'ClusterRoleBinding'] : ['Role', 'RoleBinding'];
  return [
    {
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: { name: namespace, labels: { ...LABELS, 'pod-security.kubernetes.io/enforce': 'restricted' } },
    },
    { apiVersion: 'v1', kind: 'ServiceAccount', metadata: meta(OPERATOR.name, namespace) },
    { apiVersion: rbac, kind: role, metadata: meta(OPERATOR.name, watch), rules: OPERATOR_RULES },
    {
      apiVersion: rbac,
      kind: binding,
      metadata: meta(OPERATOR.name, watch),
      roleRef: { apiGroup, kind: role, name: OPERATOR.name },
      subjects,
    },
    {
      apiVersion: rbac,
      kind: 'Role',
      metadata: meta(`${OPERATOR.name}-leader`, namespace),
      rules: [
        rule(['coordination.k8s.io'], ['leases'], ['create']),
        { ...rule(['coordination.k8s.io'], ['leases'], ['get', 'update', 'patch']), resourceNames: [OPERATOR.lease] },
        rule(['', 'events.k8s.io'], ['events'], ['create', 'patch']),
      ],
    },
    {
      apiVersion: rbac,
      kind: 'RoleBinding',
      metadata: meta(`${OPERATOR.name}-leader`, namespace),
      roleRef: { apiGroup, kind: 'Role', name: `${OPERATOR.name}-leader` },
      subjects,
    },
    deployment(options),
  ];
}

function deployment({ namespace, image, replicas, watch }: OperatorOptions): KubeObject {
  const field = (fieldPath: string) => ({ valueFrom: { fieldRef: { fieldPath } } });
  const probe = (path: string) => ({
    httpGet: { path, port: 'http' },
    periodSeconds: 10,
    timeoutSeconds: 5,
    failureThreshold: 6,
  });
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: OPERATOR.name, namespace, labels: LABELS },
    spec: {
      replicas,
      selector: { matchLabels: LABELS },
      template: {
        metadata: { labels: LABELS },
        spec: {
          serviceAccountName: OPERATOR.name,
          enableServiceLinks: false,
          terminationGracePeriodSeconds: 15,
          securityContext: {
            runAsNonRoot: true,
            runAsUser: POD.uid,
            runAsGroup: POD.gid,
            seccompProfile: { type: 'RuntimeDefault' },
          },
          containers: [
            {
              name: 'operator',
              image,
              imagePullPolicy: 'IfNotPresent',
              args: ['operator'],
              env: [
                { name: OPERATOR.env.podName, ...field('metadata.name') },
                { name: OPERATOR.env.namespace, ...field('metadata.namespace') },
                { name: OPERATOR.env.image, value: image },
                ...(watch === undefined ? [] : [{ name: OPERATOR.env.watch, value: watch }]),
              ],
              ports: [{ name: 'http', containerPort: OPERATOR.port, protocol: 'TCP' }],
              resources: { requests: { cpu: '50m', memory: '128Mi' }, limits: { memory: '512Mi' } },
              livenessProbe: probe(OPERATOR.probes.live),
              readinessProbe: probe(OPERATOR.probes.ready),
              securityContext: {
                allowPrivilegeEscalation: false,
                capabilities: { drop: ['ALL'] },
                privileged: false,
                readOnlyRootFilesystem: true,
              },
              volumeMounts: [{ name: 'tmp', mountPath: '/tmp' }],
            },
          ],
          volumes: [{ name: 'tmp', emptyDir: {} }],
        },
      },
    },
  };
}
