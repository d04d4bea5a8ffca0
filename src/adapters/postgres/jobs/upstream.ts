import type { Upstream } from '#domain/server.ts';
import { formatConninfo, passfileLine, upstreamParts } from '../conninfo.ts';
import type { RoleSettings } from '../role-file.ts';
import type { JobContext } from '../server-context.ts';
import { slotName } from '../sync-names.ts';

/** The part of the role file that names the upstream. */
export function upstreamSettings(context: JobContext, upstream: Upstream | null): Pick<RoleSettings, 'conninfo' | 'slot'> {
  if (upstream === null) return { conninfo: '', slot: '' };
  const { secrets } = context.options;
  const conninfo = formatConninfo(upstreamParts(upstream, context.layout, secrets.replication, context.layout.passfile));
  return { conninfo, slot: slotName(upstream.name) };
}

export async function writePassfile(context: JobContext): Promise<void> {
  await context.files.writeIfChanged(context.layout.passfile, passfileLine(context.options.secrets.replication));
}
