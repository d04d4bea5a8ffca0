import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { renderDeploy } from './deploy/deploy-files.ts';
import { renderReference } from './reference/reference.ts';

const root = join(import.meta.dirname, '..');
for (const [name, text] of Object.entries(renderReference())) await writeFile(join(root, 'docs', 'reference', name), text);
for (const [path, text] of Object.entries(renderDeploy())) await writeFile(join(root, 'deploy', path), text);
