import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { accessRules, isGateOpen, withAgentLine, withAgentMap, withDeclared } from './access-file.ts';
import { readIfThere } from './owned-files.ts';
import { GENERATION } from './role-file.ts';
import type { JobContext, ServerContext } from './server-context.ts';
import { PROTECTED_PARAMETERS } from './server-settings.ts';
import { NoAnswer, type Session } from './session.ts';
import { settingNames, withoutSettings } from './settings-file.ts';
import { until } from './until.ts';

const RELOAD_TIMEOUT_MS = 2000;

/**
 * Sends SIGHUP and waits until our own backend shows the new generation: the postmaster has read the files, every process it forks
 * from now on has them, and all others have been told. They read when they get to it, so what matters beyond is looked at by itself.
 */
export async function reload(context: JobContext, generation: string, timeoutMs = RELOAD_TIMEOUT_MS): Promise<void> {
  context.postmaster.signal('SIGHUP');
  await until(async () => ((await generationOf(context.work, timeoutMs)) === generation ? true : undefined), {
    signal: context.signal,
    timeoutMs,
    what: 'the server reads its configuration again',
  });
}

async function generationOf(session: Session, timeoutMs = RELOAD_TIMEOUT_MS): Promise<string> {
  const rows = await session.query<{ value: string | null }>('SELECT current_setting($1, true) AS value', [GENERATION], {
    timeoutMs,
    prepared: 'generation',
  });
  return rows[0]?.value ?? '';
}

/**
 * Writes the gate and reloads. The postmaster reads pg_hba.conf after it has told its children, so a backend of before proves
 * nothing: it is in force when a connection that was made afterwards shows the generation that was written with it.
 */
export async function setGate(context: JobContext, open: boolean): Promise<void> {
  await keepAgentMap(context);
  const rules = accessRules(context.memory, open);
  const changed = await context.files.writeIfChanged(context.layout.accessFile, rules);
  if (context.postmaster.pid() === undefined) return;
  const generation = changed ? await context.role.write({}) : context.role.generation;
  if (changed) context.postmaster.signal('SIGHUP');
  await awaitGeneration(context, generation, 'the server reads pg_hba.conf again');
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
  await role.read();
  const generation = await role.write({});
  postmaster.signal('SIGHUP');
  await awaitGeneration(context, generation, 'the server reads pg_hba.conf again');
}

/** Before the rules name the map: a server that runs on from another release may have none. Returns whether it was written. */
async function keepAgentMap({ files, layout, memory }: ServerContext): Promise<boolean> {
  const before = (await readIfThere(layout.identFile)) ?? '';
  return files.writeIfChanged(layout.identFile, withAgentMap(before, memory));
}

/** Until a connection that is made now shows the generation: the postmaster has ended the reload that came with it. */
export async function awaitGeneration(
  context: Pick<JobContext, 'openSession' | 'signal'>,
  generation: string,
  what: string,
): Promise<void> {
  await until(
    async () => {
      const session = context.openSession({ name: 'matriarch gate' });
      try {
        return (await generationOf(session)) === generation ? true : undefined;
      } catch (error) {
        // Starting, or out of its connections' slots for a moment: the deadline decides.
        if (error instanceof NoAnswer) throw error;
        return undefined;
      } finally {
        session.drop();
      }
    },
    { signal: context.signal, timeoutMs: RELOAD_TIMEOUT_MS, what },
  );
}

export async function isOpen(context: ServerContext): Promise<boolean> {
  return isGateOpen((await readIfThere(context.layout.accessFile)) ?? '');
}

/**
 * Removes what ALTER SYSTEM has set of the parameters that are Matriarch's: postgresql.auto.conf is read last and would win over
 * every file of ours. On a running server through ALTER SYSTEM, which serialises with a person's.
 */
export async function undoAlterSystem(context: ServerContext): Promise<readonly string[]> {
  const path = join(context.layout.dataDir, 'postgresql.auto.conf');
  const text = (await readIfThere(path)) ?? '';
  const names = settingNames(text).filter((name) => PROTECTED_PARAMETERS.has(name));
  if (names.length === 0) return names;
  context.log(`undoing ALTER SYSTEM of ${names.join(', ')}`);
  if (context.postmaster.pid() === undefined) {
    await context.files.write(path, withoutSettings(text, PROTECTED_PARAMETERS));
    return names;
  }
  const deadline = performance.now() + RELOAD_TIMEOUT_MS;
  for (const name of new Set(names)) {
    const timeoutMs = Math.max(1, deadline - performance.now());
    await context.work.query(`ALTER SYSTEM RESET ${name}`, [], { timeoutMs });
  }
  return names;
}
