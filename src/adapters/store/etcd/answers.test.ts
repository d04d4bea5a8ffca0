import { describe, expect, test } from 'vitest';
import { readAnswer } from './answers.ts';
import type { EtcdFailure } from './failures.ts';
import { toFailure } from './failures.ts';

const HEADER = '"header":{"cluster_id":"601","member_id":"6","revision":"4","raft_term":"2"}';

function failureOf(status: number, text: string): EtcdFailure {
  try {
    readAnswer(status, text);
  } catch (error) {
    return error as EtcdFailure;
  }
  throw new Error('it was taken for an answer');
}

const said = (message: string, code: number) => JSON.stringify({ error: message, message, code });

describe('An answer of etcd', () => {
  test('is its header and the rest, also within the wrapping of a streaming call', () => {
    expect(readAnswer(200, `{${HEADER},"succeeded":true}`)).toMatchObject({
      clusterId: '601',
      revision: 4,
      body: { succeeded: true },
    });
    expect(readAnswer(200, `{"result":{${HEADER},"ID":"2","TTL":"3"}}\n`)).toMatchObject({ revision: 4, body: { TTL: '3' } });
  });

  test.each([
    ['no leader', 503, 14, { code: 'store.unavailable', remedy: 'elsewhere', harmless: true }],
    ['too many requests', 429, 8, { code: 'store.unavailable', remedy: 'elsewhere', harmless: true }],
    ['leader changed', 503, 14, { code: 'store.unavailable', remedy: 'elsewhere', harmless: false }],
    ['request timed out', 503, 14, { code: 'store.unavailable', remedy: 'elsewhere', harmless: false }],
    ['request timed out, possibly due to previous leader failure', 503, 14, { remedy: 'elsewhere', harmless: false }],
    ['server stopped', 503, 14, { code: 'store.unavailable', remedy: 'elsewhere', harmless: false }],
    ['invalid auth token', 401, 16, { code: 'store.denied', remedy: 'login', harmless: true }],
    ['user name is empty', 400, 3, { code: 'store.denied', remedy: 'login', harmless: true }],
    ['permission denied', 403, 7, { code: 'store.denied', remedy: 'none', harmless: true }],
    ['authentication failed, invalid user ID or password', 400, 3, { code: 'store.denied', remedy: 'none' }],
    ['requested lease not found', 404, 5, { remedy: 'lease', harmless: true }],
    ['mvcc: database space exceeded', 429, 8, { code: 'store.full', remedy: 'none', harmless: true }],
    ['request is too large', 400, 3, { code: 'store.tooLarge', remedy: 'none', harmless: true }],
  ] as const)('%s', (message, status, code, expected) => {
    expect(failureOf(status, said(`etcdserver: ${message}`, code))).toMatchObject(expected);
    // etcd 3.6 writes no `error`; streaming calls wrap it.
    const text = `etcdserver: ${message}`;
    expect(failureOf(status, JSON.stringify({ code, message: text, details: [] }))).toMatchObject(expected);
    expect(failureOf(status, JSON.stringify({ error: { grpc_code: code, message: text } }))).toMatchObject(expected);
  });

  test.each([
    [200, ''],
    [200, '{}'],
    [200, 'null'],
    [200, '[]'],
    [200, '"text"'],
    [200, `{${HEADER}`],
    [200, '{"header":{}}'],
    [200, '{"header":{"cluster_id":"1","revision":"many"}}'],
    [404, 'Not Found\n'],
    [502, '<html>'],
    [204, `{${HEADER}}`],
  ])('that is none, HTTP %i %s: may be had elsewhere, and a write may have happened', (status, text) => {
    expect(failureOf(status, text)).toMatchObject({ code: 'store.unavailable', remedy: 'elsewhere', harmless: false });
  });
});

describe('An error of the connection', () => {
  test.each([
    ['SELF_SIGNED_CERT_IN_CHAIN', true, { code: 'store.untrusted', harmless: true }],
    ['ERR_TLS_CERT_ALTNAME_INVALID', true, { code: 'store.untrusted', harmless: true }],
    ['ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED', true, { code: 'store.denied', harmless: true }],
    ['ERR_SSL_TLSV1_ALERT_UNKNOWN_CA', true, { code: 'store.denied', harmless: true }],
    ['ECONNREFUSED', false, { code: 'store.unavailable', harmless: true }],
    ['ECONNRESET', true, { code: 'store.unavailable', harmless: false }],
  ] as const)('%s', (code, sent, expected) => {
    expect(toFailure(Object.assign(new Error('x'), { code }), sent)).toMatchObject({ ...expected, remedy: 'elsewhere' });
  });
});
