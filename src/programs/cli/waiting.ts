import { Screen } from './screen.ts';

const SILENT_MS = 1000;

/** Waits for work, and from the first second on says on stderr what is waited for, and on a terminal how long already. */
export async function waiting<Result>(what: string, work: Promise<Result>): Promise<Result> {
  const began = performance.now();
  const screen = process.stderr.isTTY ? new Screen(process.stderr) : undefined;
  let said = false;
  const timer = setInterval(() => {
    if (screen !== undefined) screen.paint(`${what} … ${Math.round((performance.now() - began) / 1000)}s`);
    else if (!said) process.stderr.write(`${what} …\n`);
    said = true;
  }, SILENT_MS);
  try {
    return await work;
  } finally {
    clearInterval(timer);
    screen?.clear();
  }
}
