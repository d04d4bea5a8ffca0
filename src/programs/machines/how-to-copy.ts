import { dirname } from 'node:path';
import type { CertifiedMember } from '#programs/certificates/site.ts';

/** The commands that carry the files of the members to their machines, as root there. */
export function howToCopy(members: readonly CertifiedMember[], configDir: string, user: string): string {
  const lines = members.map(({ tlsDir, hosts }) => copyCommand(dirname(tlsDir), hosts[0] ?? '', configDir, user));
  return ['Copy them to the machines:', ...lines].join('\n  ');
}

/** tar keeps the modes, and as root it sets the owner by its name on the other machine. */
function copyCommand(folder: string, host: string, configDir: string, user: string): string {
  return `tar -C ${folder} --owner=${user} --group=${user} -cf - . | ssh root@${host} 'mkdir -p ${configDir} && tar -C ${configDir} -xf -'`;
}
