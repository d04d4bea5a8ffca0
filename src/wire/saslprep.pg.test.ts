import fc from 'fast-check';
import type pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { TestServers } from '#adapters/postgres/testing/test-cluster.ts';
import { buildAnyScramVerifier, parseScramVerifier } from './scram-verifier.ts';

let servers: TestServers;
let client: pg.Client;

beforeAll(async () => {
  servers = await TestServers.open();
  client = await (await servers.primary('n1')).connect();
  await client.query("CREATE ROLE r LOGIN; SET password_encryption = 'scram-sha-256'");
});
afterAll(() => servers.end());

async function storedFor(password: string): Promise<string> {
  await client.query(`ALTER ROLE r PASSWORD ${client.escapeLiteral(password)}`);
  return (await client.query("SELECT rolpassword FROM pg_authid WHERE rolname = 'r'")).rows[0].rolpassword;
}

async function sameAsPostgres(password: string): Promise<void> {
  const stored = await storedFor(password);
  const { salt, iterations } = parseScramVerifier(stored) ?? {};
  expect(await buildAnyScramVerifier(password, salt, iterations), JSON.stringify(password)).toBe(stored);
}

test.each([
  'plain',
  'I\u00adX',
  'a\u00a0b',
  '\u2168',
  'e\u0301',
  '\u00aa',
  'tab\there',
  'e\u0301\ttab',
  '\u200b',
  'a\u200bb',
  '\u00ad',
  '\u0627\u0031',
  '\u0627\u0031\u0628',
  'a\u0627',
  '☺️🙂',
  '🏳️‍🌈',
  'e\u0301🙂',
  '\u0221',
  '\ufb01\u0221',
  '\u{2f868}',
  '\ufa70',
  '\u0340a',
  'ſ',
  '\u1e9e',
])('a password is hashed as PostgreSQL hashes it: %j', sameAsPostgres);

test('and whatever other characters it has', async () => {
  const leftToRight = fc.oneof(
    fc.integer({ min: 0x20, max: 0x3ff }),
    fc.integer({ min: 0x1e00, max: 0x206f }),
    fc.integer({ min: 0x2070, max: 0x33ff }),
    fc.integer({ min: 0xf900, max: 0xfaff }),
    fc.integer({ min: 0xfe00, max: 0xfe4f }),
    fc.integer({ min: 0x1d400, max: 0x1d7ff }),
    fc.integer({ min: 0x1f100, max: 0x1f6ff }),
  );
  const rightToLeft = fc.oneof(fc.integer({ min: 0x20, max: 0x7e }), fc.integer({ min: 0x5b0, max: 0x6ff }));
  const characters = fc.oneof(
    fc.array(leftToRight, { minLength: 1, maxLength: 6 }),
    fc.array(rightToLeft, { minLength: 1, maxLength: 6 }),
  );
  const password = characters
    .map((codes) => String.fromCodePoint(...codes))
    .filter((text) => !/^(md5[0-9a-f]{32}|SCRAM-SHA-256\$)/.test(text));
  await fc.assert(fc.asyncProperty(password, sameAsPostgres), { numRuns: 500 });
});
