import type { MemberName } from '#domain/member.ts';
import type { Happening } from '../journal.ts';
import type { World } from '../world.ts';
import type { Checker, Complaint } from './checker.ts';

/** H6: nobody promises against a leader whose heartbeat came lately: while k may still confirm it, no V exists. */
export class NoDisturbance implements Checker {
  readonly invariant = 'H6';
  readonly #heard = new Map<MemberName, { readonly from: MemberName; readonly epoch: number; readonly at: number }>();
  readonly #gaveUp = new Map<MemberName, number>();

  happened(happening: Happening, world: World): Complaint {
    if (happening.kind !== 'step') return null;
    const { member, event, effects } = happening;
    const complaint = this.#judge(happening, world);
    if (complaint !== null) return complaint;
    if (event.kind === 'received' && event.message.kind === 'heartbeat')
      this.#heard.set(member.name, { from: event.from, epoch: event.message.epoch, at: member.clock.now });
    if (event.kind === 'received' && event.message.kind === 'gaveUp') this.#gaveUp.set(member.name, event.message.epoch);
    void effects;
    return null;
  }

  #judge({ member, effects }: Extract<Happening, { kind: 'step' }>, world: World): Complaint {
    const grant = member.agent?.state.grant;
    if (grant == null || grant.stage !== 'detaching' || grant.forced) return null;
    if (!effects.some((effect) => effect.kind === 'persist' && effect.promise === grant.epoch)) return null;
    const heard = this.#heard.get(member.name);
    const record = world.store.leader.value;
    if (heard === undefined || record === null || record.member !== heard.from || record.epoch > heard.epoch) return null;
    if ((this.#gaveUp.get(member.name) ?? 0) >= heard.epoch) return null;
    const quietMs = member.clock.now - heard.at;
    const { fenceMs } = world.config.timings;
    return quietMs >= fenceMs
      ? null
      : `${member.name} promises epoch ${grant.epoch} ${Math.round(quietMs)} ms after a heartbeat of ${heard.from}`;
  }
}
