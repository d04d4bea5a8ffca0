import { spawn } from 'node:child_process';
import { once } from 'node:events';

/** A process of its own that has begun to write into the SQLite file and does not end. Returns what ends it. */
export async function holdWriteLock(file: string): Promise<() => Promise<void>> {
  const program = `
    const { DatabaseSync } = require('node:sqlite');
    const database = new DatabaseSync(process.argv[1], { timeout: 10000 });
    database.exec('BEGIN IMMEDIATE');
    process.stdout.write('held');
    setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ['-e', program, file], { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(child.stdout, 'data');
  return async () => {
    const exited = once(child, 'exit');
    child.kill('SIGKILL');
    await exited;
  };
}
