import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { renderReference } from './reference/reference.ts';

const folder = join(import.meta.dirname, '..', 'docs', 'reference');
for (const [name, text] of Object.entries(renderReference())) await writeFile(join(folder, name), text);
