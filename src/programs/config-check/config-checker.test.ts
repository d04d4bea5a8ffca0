import { afterEach, beforeEach, expect, test } from 'vitest';
import { parseClusterConfig } from '#domain/config/parse-config.ts';
import { ConfigChecker } from './config-checker.ts';

let checker: ConfigChecker;
beforeEach(() => {
  checker = new ConfigChecker();
});
afterEach(() => checker.close());

test('what is right comes back as the schema makes it', async () => {
  expect(await checker.cluster({ timings: { leaseMs: '15s' } }, 'config')).toEqual(
    parseClusterConfig({ timings: { leaseMs: 15_000 } }),
  );
});

test('questions asked at once get their own answers', async () => {
  const counts = [1, 2, 3, 4, 5];
  const answers = await Promise.all(counts.map((count) => checker.cluster({ durability: { count } }, 'config')));
  expect(answers.map((answer) => answer.durability.count)).toEqual(counts);
});

test('what is wrong is refused with its code and place, and the next question is answered', async () => {
  await expect(checker.cluster({ paused: 'maybe' }, 'config')).rejects.toMatchObject({
    code: 'config.invalid',
    message: 'config: paused: expected boolean, received string',
  });
  await expect(checker.member('name: [', 'agent.yaml')).rejects.toMatchObject({ code: 'config.malformed' });
  expect((await checker.cluster({}, 'config')).paused).toBe(false);
});

test('a refusal of the secrets shows none', async () => {
  const text = JSON.stringify({
    version: 1,
    superuser: { name: 'postgres', password: 'hunter2', extra: 'hunter2' },
    agent: 'hunter2',
  });
  const error = await checker.secrets(text, 'secrets.json').catch((refusal: Error) => refusal);
  expect(error).toMatchObject({ code: 'config.invalid' });
  expect(String((error as Error).message)).not.toContain('hunter2');
});

test('a broken document shows none either', async () => {
  const error = await checker
    .secrets('{"superuser": {"password": "hunter2", ]', 'secrets.json')
    .catch((refusal: Error) => refusal);
  expect(error).toMatchObject({ code: 'config.malformed' });
  expect(String((error as Error).message)).not.toContain('hunter2');
});

test('closed, it refuses what is open and starts anew for what comes', async () => {
  const open = checker.cluster({}, 'config');
  checker.close();
  await expect(open).rejects.toMatchObject({ code: 'config.notChecked' });
  expect((await checker.cluster({}, 'config')).paused).toBe(false);
});
