import { createInterface } from 'node:readline/promises';
import { fail } from '#domain/errors.ts';

/**
 * Asks a person before something is destroyed. Where nobody can be asked, `--yes` has to stand on the command line; a script never
 * hangs, and never destroys by accident. Errors: `usage.confirmationNeeded`.
 */
export async function confirm(question: string, yes: boolean | undefined): Promise<void> {
  if (yes === true) return;
  if (!process.stdin.isTTY || !process.stderr.isTTY) fail('usage.confirmationNeeded', `${question} Add --yes to say so.`);
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  try {
    const answer = await terminal.question(`${question} [y/N] `);
    if (!/^y(es)?$/i.test(answer.trim())) fail('usage.confirmationNeeded', 'It was not confirmed; nothing was touched.');
  } finally {
    terminal.close();
  }
}
