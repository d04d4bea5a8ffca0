import { expect, test } from 'vitest';
import { parseClusterConfig } from './parse-config.ts';

const parse = (line: string) => parseClusterConfig({ postgresql: { hba: [line] } });

test.each([
  'hostssl shop reports 10.1.0.0/16 scram-sha-256',
  'host all +staff,boss all reject',
  'hostssl sameuser all ::1/128 cert',
  'local shop,samerole app scram-sha-256',
  'hostnossl\tall all .example.com reject',
])('%s', (line) => {
  expect(parse(line).postgresql.hba).toEqual([line]);
});

test.each([
  ['include other.conf', 'must begin with local'],
  ['hostgssenc all all all scram-sha-256', 'must begin with local'],
  ['hostssl replication all all scram-sha-256', 'must not name `replication`'],
  ['hostssl all,replication all all scram-sha-256', 'must not name `replication`'],
  ['hostssl @file all all scram-sha-256', 'has no list of databases'],
  ['hostssl /^a all all scram-sha-256', 'has no list of databases'],
  ['hostssl all @file all scram-sha-256', 'has no list of roles'],
  ['hostssl all all 10.0.0.0 scram-sha-256', 'has no address'],
  ['hostssl all all 10.0.0.0/33 scram-sha-256', 'has no address'],
  ['hostssl all all 10.0.0.0 255.0.0.0 reject', 'has no address'],
  ['hostssl all all all trust', 'must end with scram-sha-256, reject, cert'],
  ['local all all peer', 'must end with'],
  ['host all all all cert', 'takes `hostssl` for `cert`'],
  ['hostssl all all all cert map=x', 'has too much at its end'],
  ['hostssl all "a b" all reject', 'must be one line, without quotes'],
  ['hostssl all all all reject # why', 'must be one line, without quotes or a comment'],
  ['hostssl all all all reject\nlocal all all trust', 'must be one line'],
  ['', 'must begin with'],
])('%j is refused: %s', (line, why) => {
  expect(() => parse(line)).toThrow(expect.objectContaining({ message: expect.stringContaining(`postgresql.hba.0: ${why}`) }));
});
