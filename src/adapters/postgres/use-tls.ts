import { readIfThere } from './owned-files.ts';
import { reload } from './reload.ts';
import type { ServerContext } from './server-context.ts';

/** The certificates as the server's user may read them. Returns whether anything changed. */
export async function writeTls({ files, layout, memory: { tls } }: ServerContext): Promise<boolean> {
  let changed = false;
  for (const [to, text] of [
    [layout.caFile, tls.ca],
    [layout.clientCaFile, `${tls.ca}${tls.proxyCa ?? ''}`],
    [layout.certFile, tls.certificate],
    [layout.keyFile, tls.key],
  ] as const) {
    if (await files.writeIfChanged(to, text)) changed = true;
  }
  return changed;
}

/** Ends when every new connection is made with the files as they are now. */
export async function useTls(context: ServerContext & { readonly signal: AbortSignal }): Promise<void> {
  const { layout, postmaster, role } = context;
  // Before the first start there is nothing to renew.
  if ((await readIfThere(layout.serverConf)) === undefined) return;
  const changed = await writeTls(context);
  if (postmaster.pid() === undefined) return;
  // An agent that ended between the writing and the reload may have left files that the server has not read yet.
  if (!changed) return void postmaster.signal('SIGHUP');
  await reload(context, await role.write({}));
}
