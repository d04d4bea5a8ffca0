import { writeAtomically } from './write-atomically.ts';

/** For its owner alone. Errors: those of `writeAtomically`. */
export async function writeJson(file: string, value: unknown): Promise<void> {
  await writeAtomically(file, `${JSON.stringify(value, null, 2)}\n`);
}
