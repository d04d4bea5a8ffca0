import { expect, test } from 'vitest';
import { playBoth, type SessionScript } from './session-script.ts';
import type { SessionStage } from './session-stage.ts';

/** A script is given as its steps alone, when it needs nothing else. */
export type SessionScripts = Readonly<Record<string, SessionScript | string>>;

/** One test for each: answers, errors, notices, parameters, notifications and the status are the same directly and through the proxy. */
export function testScripts(scripts: SessionScripts, stage: () => SessionStage): void {
  test.each(Object.entries(scripts))('%s', async (_, script) => {
    const { direct, through } = await playBoth(stage(), typeof script === 'string' ? { steps: script } : script);
    expect(through).toEqual(direct);
  });
}
