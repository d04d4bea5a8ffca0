import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { PromiseFile } from './promise-file.ts';

let folder: string;
let file: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'matriarch-promise-'));
  file = join(folder, 'promise.json');
});
afterEach(() => rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 }));

test('no file is no promise', async () => {
  expect(await new PromiseFile(file).read()).toBeUndefined();
});

test('what was written is read by the next run', async () => {
  const promise = { epoch: 7, incarnation: 'n1_ab12' };
  await new PromiseFile(file).write(promise);
  expect(await new PromiseFile(file).read()).toEqual(promise);
  expect(statSync(file).mode & 0o777).toBe(0o600);
});

test('a promise is never lowered, by this run or after a restart; the incarnation may change', async () => {
  const first = new PromiseFile(file);
  await first.write({ epoch: 7, incarnation: 'n1_a' });
  await expect(first.write({ epoch: 6, incarnation: 'n1_a' })).rejects.toMatchObject({ code: 'internal.bug' });
  const second = new PromiseFile(file);
  await second.read();
  await expect(second.write({ epoch: 6, incarnation: 'n1_b' })).rejects.toMatchObject({ code: 'internal.bug' });
  await second.write({ epoch: 7, incarnation: 'n1_b' });
  expect(await new PromiseFile(file).read()).toEqual({ epoch: 7, incarnation: 'n1_b' });
});

test('writes at the same time end in their order', async () => {
  const promises = new PromiseFile(file);
  await Promise.all([1, 2, 3, 4, 5].map((epoch) => promises.write({ epoch, incarnation: 'n1_a' })));
  expect((await new PromiseFile(file).read())?.epoch).toBe(5);
});

test('a file damaged anywhere is an error, never another promise', async () => {
  const promise = { epoch: 41, incarnation: 'n1_ab12' };
  await new PromiseFile(file).write(promise);
  const whole = readFileSync(file);
  await fc.assert(
    fc.asyncProperty(fc.nat(whole.length - 2), fc.nat(255), fc.boolean(), async (index, byte, truncate) => {
      const damaged = truncate ? whole.subarray(0, index) : Buffer.from(whole);
      if (!truncate) damaged[index] = byte;
      writeFileSync(file, damaged);
      const read = await new PromiseFile(file).read().catch((error) => error.code);
      // Another blank or letter case may mean the same to JSON; another promise it must not be.
      if (read !== 'promise.corrupt') expect(read).toEqual(promise);
    }),
  );
  for (const content of ['', '{}', 'null', '0', '{"version":2,"epoch":1,"incarnation":"a"}']) {
    writeFileSync(file, content);
    await expect(new PromiseFile(file).read()).rejects.toMatchObject({ code: 'promise.corrupt' });
  }
});

test('what a crash left behind is neither read nor in the way', async () => {
  const promises = new PromiseFile(file);
  await promises.write({ epoch: 1, incarnation: 'n1_a' });
  writeFileSync(`${file}.next`, '{"version":1,"epoch":9');
  chmodSync(`${file}.next`, 0o400);
  expect((await promises.read())?.epoch).toBe(1);
  await promises.write({ epoch: 2, incarnation: 'n1_a' });
  expect((await promises.read())?.epoch).toBe(2);
  expect(existsSync(`${file}.next`)).toBe(false);
});

test('a folder that is missing is an error of the disk', async () => {
  const missing = new PromiseFile(join(folder, 'missing', 'promise.json'));
  await expect(missing.write({ epoch: 1, incarnation: 'n1_a' })).rejects.toMatchObject({ code: 'disk.failed' });
});
