import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { parsePostgresCluster } from '#domain/config/postgres-cluster.ts';

const FOLDER = join(import.meta.dirname, '..', '..', 'examples', 'kubernetes');
const documents = readdirSync(FOLDER).flatMap((file) =>
  parseAllDocuments(readFileSync(join(FOLDER, file), 'utf8')).map((document) => [file, document.toJS()] as const),
);

test.each(documents.filter(([, { kind }]) => kind === 'PostgresCluster'))('examples/kubernetes/%s is valid', (_, resource) => {
  expect(parsePostgresCluster(resource)).toMatchObject({ name: 'main' });
});
