import { once } from 'node:events';
import { type GuardOptions, startGuard } from './guard.ts';

// An agent in a process of its own, for guard.test.ts: starts the guard, sets one deadline, and waits to be killed.
const [order] = (await once(process, 'message')) as [{ options: Omit<GuardOptions, 'onDead' | 'onFired'>; deadlineMs: number }];
const guard = await startGuard({ ...order.options, onDead: () => process.exit(1), onFired: () => {} });
guard.setDeadline(performance.now() + order.deadlineMs);
process.send?.({ pid: guard.pid });
