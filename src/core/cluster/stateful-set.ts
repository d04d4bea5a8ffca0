import type { Initdb } from '#domain/config/initdb.ts';
import type { PostgresCluster } from '#domain/config/postgres-cluster.ts';
import type { KubeObject } from '#domain/kubernetes/kube-object.ts';
import { objectNames } from '#domain/kubernetes/object-names.ts';
import { POD } from '#domain/kubernetes/pod-layout.ts';
import { initdbText } from './initdb-step.ts';
import { clusterObject, labelsOf, selectorOf } from './object.ts';
import {
  apart,
  COMMON_MOUNTS,
  CONTAINER_SECURITY,
  commonPodSpec,
  commonVolumes,
  httpProbe,
  imageOf,
  memoryVolume,
  mount,
  podEnvironment,
  secretVolume,
} from './pod-parts.ts';
import { PORT } from './service-objects.ts';
import type { Surroundings } from './surroundings.ts';
import { VOLUMES, type Volume } from './volumes.ts';

/** Above what a hand-over and the stop of the server may take together. */
const GRACE_MARGIN_SECONDS = 40;

/** How the StatefulSet stands on the way to what the resource asks for. */
export interface StatefulSetState {
  readonly replicas: number;
  readonly initdb: Initdb;
  readonly volumes: Readonly<Record<'data', VolumeState>> & Readonly<Partial<Record<'wal', VolumeState>>>;
}

export interface VolumeState {
  readonly size: string;
  readonly storageClass?: string | undefined;
}

/** Members start side by side, and a change of the template restarts nobody: the operator chooses the moment and the order. */
export function statefulSet(cluster: PostgresCluster, surroundings: Surroundings, state: StatefulSetState): KubeObject {
  const names = objectNames(cluster.name);
  const { replicas, volumes } = state;
  return clusterObject(
    cluster,
    'apps/v1',
    'StatefulSet',
    names.statefulSet,
    {
      spec: {
        replicas,
        serviceName: names.podsService,
        podManagementPolicy: 'Parallel',
        updateStrategy: { type: 'OnDelete' },
        selector: { matchLabels: selectorOf(cluster, 'postgresql') },
        template: { metadata: { labels: labelsOf(cluster, 'postgresql') }, spec: podSpec(cluster, surroundings, state) },
        volumeClaimTemplates: VOLUMES.flatMap((volume) => claimTemplate(cluster, volume, volumes[volume])),
      },
    },
    { component: 'postgresql' },
  );
}

function claimTemplate(cluster: PostgresCluster, volume: Volume, state: VolumeState | undefined) {
  if (state === undefined) return [];
  const { size, storageClass } = state;
  return [
    {
      apiVersion: 'v1',
      kind: 'PersistentVolumeClaim',
      metadata: { name: volume, labels: selectorOf(cluster, 'postgresql') },
      spec: {
        accessModes: ['ReadWriteOnce'],
        volumeMode: 'Filesystem',
        resources: { requests: { storage: size } },
        ...(storageClass === undefined ? {} : { storageClassName: storageClass }),
      },
    },
  ];
}

function podSpec(cluster: PostgresCluster, surroundings: Surroundings, { volumes, initdb }: StatefulSetState) {
  const { spec, name } = cluster;
  const names = objectNames(name);
  const { drainTimeoutMs, handoverTimeoutMs, stopTimeoutMs } = spec.timings;
  const logins = { superuser: names.superuserSecret, replication: names.replicationSecret, agent: names.agentSecret };
  return {
    serviceAccountName: names.serviceAccount,
    automountServiceAccountToken: true,
    terminationGracePeriodSeconds: GRACE_MARGIN_SECONDS + Math.ceil((drainTimeoutMs + handoverTimeoutMs + stopTimeoutMs) / 1000),
    ...commonPodSpec(cluster),
    ...scheduling(cluster),
    containers: [
      {
        name: 'postgresql',
        ...imageOf(cluster, surroundings),
        args: ['agent', '--pod'],
        env: [
          ...podEnvironment(cluster),
          ...(volumes.wal === undefined ? [] : [{ name: POD.env.walDir, value: POD.walDir }]),
          ...(initdbText(initdb) === undefined ? [] : [{ name: POD.env.initdb, value: initdbText(initdb) }]),
        ],
        ports: [
          { name: PORT.postgres, containerPort: POD.postgresPort, protocol: 'TCP' },
          { name: PORT.api, containerPort: POD.apiPort, protocol: 'TCP' },
          { name: PORT.health, containerPort: POD.healthPort, protocol: 'TCP' },
        ],
        resources: spec.resources,
        securityContext: CONTAINER_SECURITY,
        // The agent may wait for a Secret or for its volume; ending it would not help.
        startupProbe: httpProbe(POD.memberProbes.live, PORT.health, {
          periodSeconds: 2,
          timeoutSeconds: 2,
          failureThreshold: 300,
        }),
        // Only an agent whose decisions have stopped is ended: a server in recovery, however long, is not.
        livenessProbe: httpProbe(POD.memberProbes.live, PORT.health, {
          periodSeconds: 10,
          timeoutSeconds: 5,
          failureThreshold: 6,
        }),
        readinessProbe: httpProbe(POD.memberProbes.ready, PORT.health, {
          periodSeconds: 5,
          timeoutSeconds: 3,
          failureThreshold: 2,
        }),
        volumeMounts: [
          mount('data', POD.memberDir),
          ...(volumes.wal === undefined ? [] : [mount('wal', POD.walDir)]),
          mount('shm', '/dev/shm'),
          ...COMMON_MOUNTS,
          ...Object.keys(logins).map((login) => mount(login, `${POD.secretsDir}/${login}`, true)),
        ],
      },
    ],
    volumes: [
      ...commonVolumes(cluster, names.memberTlsSecret),
      // The 64 MB of a container are too little for a parallel query.
      memoryVolume('shm'),
      ...Object.entries(logins).map(([login, secretName]) => secretVolume(login, secretName)),
    ],
  };
}

function scheduling(cluster: PostgresCluster) {
  const { affinity, topologySpread } = cluster.spec;
  const labelSelector = { matchLabels: selectorOf(cluster, 'postgresql') };
  return {
    affinity: affinity ?? apart(labelSelector),
    ...(topologySpread === undefined
      ? {}
      : { topologySpreadConstraints: topologySpread.map((spread) => ({ ...spread, labelSelector })) }),
  };
}
