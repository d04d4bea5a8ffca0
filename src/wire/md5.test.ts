import { createRequire } from 'node:module';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { checkMd5, md5Answer, md5Hash } from './md5.ts';
import { text } from './testing/arbitraries.ts';

interface ClientCrypto {
  postgresMd5PasswordHash(user: string, password: string, salt: Buffer): Promise<string>;
}
const { postgresMd5PasswordHash } = createRequire(import.meta.url)('pg/lib/crypto/utils') as ClientCrypto;
const salt = fc.uint8Array({ minLength: 4, maxLength: 4 }).map((bytes) => Buffer.from(bytes));

test('the answer is the one of node-postgres, and only that is accepted', async () => {
  await fc.assert(
    fc.asyncProperty(text, text, salt, fc.nat(34), async (user, password, bytes, at) => {
      const verifier = md5Hash(password, user);
      const answer = md5Answer(verifier, bytes);
      expect(answer).toBe(await postgresMd5PasswordHash(user, password, bytes));
      expect(checkMd5(verifier, bytes, answer)).toBe(true);
      const other = `${answer.slice(0, at)}${answer[at] === '0' ? '1' : '0'}${answer.slice(at + 1)}`;
      expect(checkMd5(verifier, bytes, other)).toBe(false);
    }),
  );
});

test('nothing is accepted for a verifier of another kind, nor another length', () => {
  const bytes = Buffer.alloc(4);
  for (const verifier of ['', 'md5', 'SCRAM-SHA-256$4096:a$b:c']) {
    expect(checkMd5(verifier, bytes, md5Answer(verifier, bytes))).toBe(false);
  }
  expect(checkMd5(md5Hash('p', 'u'), bytes, '')).toBe(false);
});
