import { setTimeout as sleep } from 'node:timers/promises';
import { summarize } from '#adapters/tls/check-identity.ts';
import { readTlsFiles } from '#adapters/tls/tls-files.ts';
import type { CertificateSite, CertifiedMember } from './site.ts';

const LOOK_EVERY_MS = 200;

export interface Waiting {
  readonly member: string;
  readonly why: string;
  /** Its agent answered, and has other files. */
  readonly answered: boolean;
}

/** Those members that do not use what was written for them, after the patience of the site. */
export async function membersNotUsing(site: CertificateSite): Promise<readonly Waiting[]> {
  const deadline = performance.now() + site.patienceMs;
  for (;;) {
    const looks = await Promise.all(site.members.map((member) => look(site, member)));
    const waiting = looks.filter((one) => one !== undefined);
    if (waiting.length === 0 || performance.now() >= deadline) return waiting;
    await sleep(LOOK_EVERY_MS);
  }
}

async function look(site: CertificateSite, { name, tlsDir }: CertifiedMember): Promise<Waiting | undefined> {
  const wanted = summarize(await readTlsFiles(tlsDir));
  try {
    const used = await site.inUse(name);
    const same = used.certificate === wanted.certificate && used.authorities.join() === wanted.authorities.join();
    return same ? undefined : { member: name, why: 'it uses other files', answered: true };
  } catch (error) {
    return { member: name, why: (error as Error).message, answered: false };
  }
}
