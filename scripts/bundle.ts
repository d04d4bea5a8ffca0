// Makes the programs into a folder of JavaScript that runs without the sources and without node_modules: `node scripts/bundle.ts DIR`.
import { chmodSync, copyFileSync, mkdirSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { build } from 'esbuild';

const ROOT = resolve(import.meta.dirname, '..');

/** Each is started as a process or a thread of its own, and found beside whoever starts it (`entryFile`): hence one flat folder. */
const ENTRIES = {
  'cli-main': 'src/programs/cli/main.ts',
  'pod-main': 'src/programs/pod/pod-main.ts',
  'agent-main': 'src/programs/agent/main.ts',
  'up-main': 'src/programs/up/main.ts',
  'up-warm-main': 'src/programs/up/warm-main.ts',
  'guard-main': 'src/adapters/process/guard-main.ts',
  'canary-main': 'src/adapters/process/canary-main.ts',
  'check-main': 'src/programs/config-check/check-main.ts',
  'sqlite-worker': 'src/adapters/store/sqlite/sqlite-worker.ts',
};

/** Dependencies of the older kind call `require`, which a module has not. */
const REQUIRE = "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);";

export async function bundle(dir: string): Promise<void> {
  const lib = join(dir, 'lib');
  rmSync(dir, { recursive: true, force: true });
  mkdirSync(join(dir, 'bin'), { recursive: true });
  await build({
    absWorkingDir: ROOT,
    entryPoints: ENTRIES,
    outdir: lib,
    // What several programs share, and what a command loads only when it is asked for, lies in files of its own.
    splitting: true,
    bundle: true,
    format: 'esm',
    platform: 'node',
    target: 'node24',
    minifySyntax: true,
    minifyWhitespace: true,
    legalComments: 'none',
    sourcemap: 'external',
    chunkNames: 'shared-[hash]',
    external: ['pg-native'],
    banner: { js: REQUIRE },
    logLevel: 'warning',
  });
  copyFileSync(join(ROOT, 'src/programs/agent/node-options'), join(lib, 'node-options'));
  copyFileSync(join(ROOT, 'deploy/image/matriarch'), join(dir, 'bin', 'matriarch'));
  chmodSync(join(dir, 'bin', 'matriarch'), 0o755);
}

if (import.meta.main) {
  const { positionals } = parseArgs({ allowPositionals: true });
  const [dir] = positionals;
  if (dir === undefined || positionals.length > 1) {
    process.stderr.write('usage: node scripts/bundle.ts DIR\n');
    process.exit(2);
  }
  await bundle(resolve(dir));
}
