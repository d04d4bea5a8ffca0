import { mkdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { killByWorkingDirectory, resolveDirectory } from '#adapters/process/processes.ts';
import { identityMap } from '../access-file.ts';
import type { ControlFile } from '../control-file.ts';
import { readIfThere } from '../owned-files.ts';
import type { ServerContext } from '../server-context.ts';
import { entryFile, serverSettings } from '../server-settings.ts';
import { writeTls } from '../use-tls.ts';

/** Folders, certificates and the settings that do not change with the role, as the server's user may read them. */
export async function prepareFiles(context: ServerContext): Promise<void> {
  const { files, layout, options } = context;
  files.checkReachable(layout.memberDir);
  // Not the server's: beside the data lie the promise and the socket of the agent. What it makes here is made for it.
  await mkdir(layout.memberDir, { recursive: true, mode: 0o711 });
  await files.folder(layout.configDir);
  await files.folder(layout.socketDir);
  await writeTls(context);
  await files.writeIfChanged(layout.serverConf, serverSettings(options, layout, context.memory.parameters));
  await files.writeIfChanged(layout.identFile, identityMap(context.memory));
}

/** Puts our entry file into a data directory, whose own may be initdb's or another member's. */
export async function adoptDataDir(
  context: ServerContext,
  dataDir: string,
  { sizes }: Pick<ControlFile, 'sizes'>,
): Promise<void> {
  await context.files.writeIfChanged(join(dataDir, 'postgresql.conf'), entryFile(context.layout, sizes.segmentBytes));
}

/**
 * Ends what an earlier life left in a directory (a single-user server, initdb, orphans of a postmaster that was killed) and removes
 * the pid file, whose pid may belong to anybody by now. Only called when no postmaster runs there.
 */
export async function clearRemains(dataDir: string): Promise<void> {
  const directory = await stat(dataDir).then(
    () => resolveDirectory(dataDir),
    () => undefined,
  );
  if (directory === undefined) return;
  for (let clear = 0; clear < 2; ) {
    clear = killByWorkingDirectory(directory) === 0 ? clear + 1 : 0;
    if (clear === 0) await sleep(2);
  }
  await rm(join(directory, 'postmaster.pid'), { force: true });
}

/** Removes the lock of a socket that a killed server of this very directory left: its pid may belong to anybody by now. */
export async function clearSocketLock(context: ServerContext): Promise<void> {
  const lock = join(context.layout.socketDir, `.s.PGSQL.${context.options.port}.lock`);
  const lines = (await readIfThere(lock))?.split('\n');
  if (lines?.[1] === context.layout.dataDir) await rm(lock, { force: true });
}

/** Ends tools that a killed agent left running: they would go on writing into directories that are made anew. */
export async function endStrayTools(memberDir: string): Promise<void> {
  const directory = resolveDirectory(memberDir);
  for (const program of ['pg_basebackup', 'pg_rewind', 'initdb']) {
    while (killByWorkingDirectory(directory, program) > 0) await sleep(2);
  }
}
