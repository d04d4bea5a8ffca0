import { statusDocumentSchema } from '#domain/status-document.ts';
import { fieldsTable, toJsonSchema } from './schema.ts';

/** docs/reference/status.md */
export function statusReference(): string {
  return [
    '# The status document',
    '',
    '`matriarch status -o json` prints one document; with `--watch`, one a line and second. Fields are added and never renamed or removed within a major version. `matriarch status` ends with exit code 3 when no agent answers; the document is printed all the same.',
    '',
    'The URLs hold a password. They come from `connection.json` in the folder of the cluster, which its owner alone can read.',
    '',
    ...fieldsTable(statusDocumentSchema),
    '',
    '## JSON Schema',
    '',
    '```json',
    JSON.stringify(toJsonSchema(statusDocumentSchema, 'output'), null, 2),
    '```',
    '',
  ].join('\n');
}
