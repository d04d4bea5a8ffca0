import { ERRORS, MatriarchError } from '#domain/errors.ts';
import { exitCodeOf } from '#programs/cli/report-error.ts';
import { row } from './markdown.ts';

/** docs/reference/errors.md */
export function errorsReference(): string {
  const codes = (Object.keys(ERRORS) as (keyof typeof ERRORS)[]).sort();
  return [
    '# Errors',
    '',
    'Every error that Matriarch shows has a code, says what happened and where, and what to do next. The codes are stable: scripts may rely on them. The last column is the exit code of the command line.',
    '',
    '| code | meaning | what to do | exit code |',
    '|---|---|---|---|',
    ...codes.map((code) =>
      row([`\`${code}\``, ERRORS[code].meaning, ERRORS[code].next, String(exitCodeOf(new MatriarchError(code, '')))]),
    ),
    '',
    'Two more come from the scripts that run before Matriarch does: `node.missing` (the packages of the checkout were installed without their install scripts) and `node.tooOld` (there is no Node.js 24).',
    '',
  ].join('\n');
}
