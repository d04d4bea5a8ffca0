import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { z } from 'zod';

const FILE = join(import.meta.dirname, 'expected-differences.yaml');

const pattern = z.string().transform((text) => new RegExp(text));
const fileSchema = z.array(
  z.strictObject({
    test: z.string(),
    /** The feature of the proxy that explains it. */
    because: z.string().min(10),
    /** Each matches lines of the diff, with their + or -. */
    lines: z.array(pattern).min(1),
  }),
);
export type ExpectedDifference = z.output<typeof fileSchema>[number];

/** What the proxy may answer otherwise than the server does. Errors: zod's, for a file that is not as it must be. */
export function readExpectedDifferences(): readonly ExpectedDifference[] {
  return fileSchema.parse(parse(readFileSync(FILE, 'utf8')) ?? []);
}
