import type { VirtualAgent } from './agent.ts';
import type { VirtualMember } from './member.ts';

const EVERY_MS = 300;
const DEADLINE_MS = 1000;

/** The canary of an agent: a synchronous write beside the WAL and a new connection, with a deadline. */
export function watchByCanary(agent: VirtualAgent): void {
  let told: string | null = null;
  const look = (): void => {
    const why = whyStuck(agent.member);
    if (why !== told) {
      told = why;
      agent.after(why === null ? 10 : DEADLINE_MS, () => {
        if (told === why) agent.feed({ kind: 'canary', stuck: why });
      });
    }
    agent.after(EVERY_MS, look);
  };
  look();
}

function whyStuck({ server, volume }: VirtualMember): string | null {
  if (server === null || server.role !== 'primary' || !server.up) return null;
  if (server.postmasterStopped || server.process.paused) return 'no new connection within 1 s';
  return volume.hung ? 'the disk did not answer within 1 s' : null;
}
