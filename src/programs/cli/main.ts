import { runProgram } from './program.ts';
import { EXIT_CODES, reportError } from './report-error.ts';

// `matriarch status | head` ends the reader early; that is no failure of ours.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(EXIT_CODES.done);
  throw error;
});

try {
  await runProgram(process.argv.slice(2));
} catch (error) {
  process.exitCode = reportError(error);
}
