import { expect, test } from 'vitest';
import { readNegotiation } from './decode-backend.ts';
import { negotiate } from './negotiate.ts';

test.each([
  [0, [], 0, null],
  [1, [], 0, null],
  [2, [], 2, null],
  [3, [], 2, { minor: 2, unknown: [] }],
  [9999, [], 2, { minor: 2, unknown: [] }],
  [0, ['_pq_.a'], 0, { minor: 0, unknown: ['_pq_.a'] }],
  [1, ['_pq_.a'], 0, { minor: 0, unknown: ['_pq_.a'] }],
  [2, ['_pq_.a', '_pq_.b'], 2, { minor: 2, unknown: ['_pq_.a', '_pq_.b'] }],
])('a client asks for 3.%d with %j', (asked, options, minor, answered) => {
  const parameters = new Map(['user', ...options].map((name) => [name, 'x']));
  const { answer, ...agreed } = negotiate(asked, parameters);
  expect(agreed).toEqual({ minor, unknown: options });
  expect(answer && readNegotiation(answer)).toEqual(answered);
});
