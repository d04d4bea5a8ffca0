import { z } from 'zod';
import { MAX_CLUSTER_NAME_LENGTH, postgresClusterSpecSchema } from '#domain/config/postgres-cluster.ts';
import { DEFAULT_IMAGE } from '#domain/kubernetes/default-image.ts';
import { operatorObjects } from '#domain/kubernetes/operator-objects.ts';
import { postgresClusterCrd } from '#domain/kubernetes/postgres-cluster-crd.ts';
import { VERSION } from '#programs/cli/version.ts';
import { document, NOTICE } from './yaml.ts';

/** Stand where a template is to ask for a value, and are words that YAML leaves unquoted. */
const PLACE = { namespace: 'RELEASE-NAMESPACE', image: 'VALUE-IMAGE', watch: 'VALUE-WATCH', replicas: 4242 } as const;

/** What helm fills in. Nothing but values, one `if` and one `range`: everything else was decided by the code. */
function withValues(text: string): string {
  return text
    .replaceAll(PLACE.namespace, '{{ .Release.Namespace }}')
    .replaceAll(PLACE.image, '{{ .Values.operator.image }}')
    .replaceAll(PLACE.watch, '{{ .Values.operator.watchNamespace }}')
    .replaceAll(String(PLACE.replicas), '{{ .Values.operator.replicas }}');
}

function operatorTemplate(): string {
  const common = { namespace: PLACE.namespace, image: PLACE.image, replicas: PLACE.replicas };
  // helm makes the namespace itself, with `--create-namespace`.
  const render = (options: Parameters<typeof operatorObjects>[0]) =>
    operatorObjects(options)
      .filter(({ kind }) => kind !== 'Namespace')
      .map(document)
      .join('');
  return withValues(
    `{{- if .Values.operator.watchNamespace }}\n${render({ ...common, watch: PLACE.watch })}{{- else }}\n${render(common)}{{- end }}\n`,
  );
}

const CLUSTERS = `{{- range $name, $spec := .Values.clusters }}
---
apiVersion: matriarch.dev/v1
kind: PostgresCluster
metadata:
  name: {{ $name }}
  namespace: {{ $.Release.Namespace }}
spec:
{{ toYaml $spec | indent 2 }}
{{- end }}
`;

const VALUES = `${NOTICE}
# The operator. It works on the clusters of every namespace, or of one.
operator:
  # The image of the operator, and of clusters that name none.
  image: ${DEFAULT_IMAGE}
  # One works, the others stand by. With none, clusters run on and fail over by themselves; nothing of them is changed.
  replicas: 1
  # The only namespace whose clusters it looks after, and in which it has any rights. Empty: every one.
  watchNamespace: ""

# Clusters in the namespace of the release: the name, and the \`spec\` of a PostgresCluster. Every field has a default
# (docs/reference/postgres-cluster.md), so that this is one:
#
#   clusters:
#     main: {}
clusters: {}
`;

function valuesSchema() {
  const spec = z.toJSONSchema(postgresClusterSpecSchema, { io: 'input', target: 'draft-07', unrepresentable: 'any' });
  const { $schema, ...cluster } = spec;
  const name = `^[a-z]([a-z0-9-]{0,${MAX_CLUSTER_NAME_LENGTH - 2}}[a-z0-9])?$`;
  return {
    $schema,
    type: 'object',
    additionalProperties: false,
    properties: {
      global: {},
      operator: {
        type: 'object',
        additionalProperties: false,
        properties: {
          image: { type: 'string', minLength: 1 },
          replicas: { type: 'integer', minimum: 0 },
          watchNamespace: { type: 'string' },
        },
      },
      clusters: { type: 'object', propertyNames: { pattern: name }, additionalProperties: loosened(cluster) },
    },
  };
}

/** Numbers with a unit may be text: what the schema makes of text is not in the schema that others see. */
function loosened(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(loosened);
  if (typeof schema !== 'object' || schema === null) return schema;
  const { unit, intOrString, preserve: _, listMapKey: __, example: ___, ...rest } = schema as Readonly<Record<string, unknown>>;
  if (unit !== undefined || intOrString === true) {
    const { description, default: standard } = rest;
    return {
      ...(description ? { description } : {}),
      ...(standard === undefined ? {} : { default: standard }),
      type: ['string', 'number'],
    };
  }
  return Object.fromEntries(Object.entries(rest).map(([key, value]) => [key, loosened(value)]));
}

/** deploy/chart, by file. */
export function chartFiles(): Readonly<Record<string, string>> {
  return {
    'Chart.yaml': `${NOTICE}apiVersion: v2\nname: matriarch\ndescription: PostgreSQL clusters that survive their primary, with the operator that shapes them.\ntype: application\nversion: ${VERSION}\nappVersion: ${VERSION}\nkubeVersion: ">=1.20.0-0"\n`,
    'values.yaml': VALUES,
    'values.schema.json': `${JSON.stringify(valuesSchema(), null, 2)}\n`,
    'crds/postgresclusters.yaml': NOTICE + document(postgresClusterCrd()),
    'templates/operator.yaml': operatorTemplate(),
    'templates/clusters.yaml': CLUSTERS,
  };
}
