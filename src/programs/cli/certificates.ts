import { STAGES, type Stage } from '#core/cluster/authority-rotation.ts';
import { fail } from '#domain/errors.ts';
import { membersNotUsing, type Waiting } from '#programs/certificates/in-use.ts';
import { openSite } from '#programs/certificates/open-site.ts';
import { issueForProxies } from '#programs/certificates/proxy-trust.ts';
import type { CertificateSite } from '#programs/certificates/site.ts';
import { beginRotation, endRotation, issueFor, setStage, stageOf, trustNow, writeTrust } from '#programs/certificates/trust.ts';
import { waiting } from './waiting.ts';

const DONE: Readonly<Record<Stage, string>> = {
  trust: '1 of 3: everybody trusts both authorities',
  issue: '2 of 3: every member shows a certificate by the new one',
  withdraw: '3 of 3: the old authority is trusted no more',
};
const WRITTEN: Readonly<Record<Stage, string>> = {
  trust:
    'Stage 1 of 3: the files that trust both authorities are written. Clients need the new ca.crt of the folder before stage 2 is carried to the machines.',
  issue: 'Stage 2 of 3: certificates by the new authority are written.',
  withdraw: 'Stage 3 of 3: the files that trust the new authority alone are written.',
};

const say = (text: string): void => void process.stdout.write(`${text}\n`);

/** New certificates and keys for every member and for the proxies, by the authorities that issue now. */
export async function renew({ dir }: { readonly dir?: string }): Promise<void> {
  const site = await openSite(dir);
  const trust = await trustNow(site);
  for (const member of [...site.members, ...(site.listeners ?? [])]) await issueFor(member, trust);
  await issueForProxies(site, trust);
  site.tellListeners?.();
  if (site.howToCopy !== undefined) return say(`New certificates are written. ${site.howToCopy}`);
  const late = await waiting('waiting for the agents to use them', membersNotUsing(site));
  if (late.length > 0) notApplied(late);
  say(`Every member uses a new certificate, valid for a year.`);
}

/**
 * A new authority in three stages. Every stage waits until each member says that it uses the files of the one before; repeated, it goes
 * on where it stopped. Errors: `tls.notApplied`.
 */
export async function rotate({ dir, applied }: { readonly dir?: string; readonly applied?: boolean }): Promise<void> {
  const site = await openSite(dir);
  if (stageOf(site) === undefined) {
    await beginRotation(site);
    if (site.howToCopy !== undefined) return written(site, 'trust');
  }
  for (let stage = stageOf(site); stage !== undefined; stage = next(stage)) {
    await setStage(site, stage);
    await writeTrust(site);
    const late = await waiting(`waiting for stage ${DONE[stage]}`, membersNotUsing(site));
    const holding = applied === true ? late.filter((one) => one.answered) : late;
    if (holding.length > 0) notApplied(holding);
    say(`Stage ${DONE[stage]}.`);
    const following = next(stage);
    if (following !== undefined && site.howToCopy !== undefined) return written(site, following);
  }
  await endRotation(site);
  say('The certificates are by the new authority alone.');
}

/** A person carries the files of this stage to the machines. */
async function written(site: CertificateSite, stage: Stage): Promise<void> {
  await setStage(site, stage);
  await writeTrust(site);
  say(`${WRITTEN[stage]} ${site.howToCopy}\nThen repeat this command: it checks that every member uses them, and goes on.`);
}

function next(stage: Stage): Stage | undefined {
  return STAGES[STAGES.indexOf(stage) + 1];
}

function notApplied(late: readonly Waiting[]): never {
  return fail('tls.notApplied', late.map(({ member, why }) => `${member}: ${why.replace(`${member}: `, '')}`).join('\n'));
}
