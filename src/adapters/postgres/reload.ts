import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { accessRules, isGateOpen, withAgentLine, withAgentMap, withDeclared } from './access-file.ts';
import { readIfThere } from './owned-files.ts';
import { GENERATION } from './role-file.ts';
import type { JobContext, ServerContext } from './server-context.ts';
import { PROTECTED_PARAMETERS } from './server-settings.ts';
import type { Session } from './session.ts';
import { settingNames, withoutSettings } from './settings-file.ts';
import { until } from './until.ts';

const RELOAD_TIMEOUT_MS = 2000;

/**
 * Sends SIGHUP and waits until our own backend shows the new generation. The postmaster does a whole reload (settings, its children
 * told, pg_hba.conf and pg_ident.conf, certificates) between two connections that it takes, so by then every process that it forks
 * from now on has all of it. Those that run have been told, and read when they get to it: what matters of them is looked at by itself.
 */
export async function reload(
  context: Pick<JobContext, 'postmaster' | 'work' | 'signal'>,
  generation: string,
  timeoutMs = RELOAD_TIMEOUT_MS,
): Promise<void> {
  context.postmaster.signal('SIGHUP');
  await until(async () => ((await generationOf(context.work, timeoutMs)) === generation ? true : undefined), {
    signal: context.signal,
    timeoutMs,
    what: 'the server reads its configuration again',
  });
}

async function generationOf(session: Session, timeoutMs: number): Promise<string> {
  const rows = await session.query<{ value: string | null }>('SELECT current_setting($1, true) AS value', [GENERATION], {
    timeoutMs,
    prepared: 'generation',
  });
  return rows[0]?.value ?? '';
}

/** Writes the gate and reloads, also where nothing is to be written: an agent may have ended between the two. */
export async function setGate(context: JobContext, open: boolean): Promise<void> {
  await keepAgentMap(context);
  await context.files.writeIfChanged(context.layout.accessFile, accessRules(context.memory, open));
  if (context.postmaster.pid() === undefined) return;
  await reload(context, await context.role.write({}));
}

/** Writes the lines that are declared by now, with the gate as it is. A server that is started later reads them then. */
export async function renewAccess(context: JobContext): Promise<void> {
  const { files, layout, memory, postmaster, role } = context;
  const before = await readIfThere(layout.accessFile);
  if (before === undefined) return;
  const mapped = await keepAgentMap(context);
  const rules = withDeclared(withAgentLine(before, memory), memory.hba);
  if (!(await files.writeIfChanged(layout.accessFile, rules)) && !mapped) return;
  if (postmaster.pid() === undefined) return;
  await reload(context, await role.write({}));
}

/** Before the rules name the map: a server that runs on from another release may have none. Returns whether it was written. */
async function keepAgentMap({ files, layout, memory }: ServerContext): Promise<boolean> {
  const before = (await readIfThere(layout.identFile)) ?? '';
  return files.writeIfChanged(layout.identFile, withAgentMap(before, memory));
}

export async function isOpen(context: ServerContext): Promise<boolean> {
  return isGateOpen((await readIfThere(context.layout.accessFile)) ?? '');
}

/**
 * Removes what ALTER SYSTEM has set of the parameters that are Matriarch's: postgresql.auto.conf is read last and would win over
 * every file of ours. On a running server through ALTER SYSTEM, which serialises with a person's.
 */
export async function undoAlterSystem(context: ServerContext): Promise<void> {
  const path = join(context.layout.dataDir, 'postgresql.auto.conf');
  const text = (await readIfThere(path)) ?? '';
  const names = settingNames(text).filter((name) => PROTECTED_PARAMETERS.has(name));
  if (names.length === 0) return;
  context.log(`undoing ALTER SYSTEM of ${names.join(', ')}`);
  context.memory.syncInForce = undefined;
  if (context.postmaster.pid() === undefined) {
    await context.files.write(path, withoutSettings(text, PROTECTED_PARAMETERS));
    return;
  }
  const deadline = performance.now() + RELOAD_TIMEOUT_MS;
  for (const name of new Set(names)) {
    const timeoutMs = Math.max(1, deadline - performance.now());
    await context.work.query(`ALTER SYSTEM RESET ${name}`, [], { timeoutMs });
  }
}
