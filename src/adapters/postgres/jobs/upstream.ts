import type { Upstream } from '#domain/server.ts';
import { formatConninfo, NO_PASSWORDS, passfileLine, upstreamParts } from '../conninfo.ts';
import { readIfThere } from '../owned-files.ts';
import type { RoleSettings } from '../role-file.ts';
import type { JobContext } from '../server-context.ts';
import { slotName } from '../sync-names.ts';

/** The part of the role file that names the upstream. */
export function upstreamSettings(context: JobContext, upstream: Upstream | null): Pick<RoleSettings, 'conninfo' | 'slot'> {
  if (upstream === null) return { conninfo: '', slot: '' };
  const { secrets } = context.memory;
  const conninfo = formatConninfo(upstreamParts(upstream, context.layout, secrets.replication, context.layout.passfile));
  return { conninfo, slot: slotName(upstream.name) };
}

export async function writePassfile(context: JobContext): Promise<void> {
  await context.files.writeIfChanged(context.layout.passfile, passfileLine(context.memory.secrets.replication));
}

/** Of a member that follows somebody; the next connection is made with it. */
export async function renewPassfile(context: JobContext): Promise<void> {
  const before = await readIfThere(context.layout.passfile);
  if (before !== undefined && before !== NO_PASSWORDS) await writePassfile(context);
}
