import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { LineReader } from '../../http/line-reader.ts';
import { encode } from './encoding.ts';
import { readFrame } from './watch-frames.ts';

describe('The lines of a stream', () => {
  test('are the same wherever it is cut', () => {
    const line = fc.string({ unit: 'grapheme' }).map((text) => JSON.stringify({ text }));
    fc.assert(
      fc.property(fc.array(line), fc.array(fc.nat(30)), (lines, cuts) => {
        const bytes = Buffer.from(lines.map((one) => `${one}\n`).join(''), 'utf8');
        const reader = new LineReader();
        const read: string[] = [];
        let from = 0;
        for (const length of cuts) {
          read.push(...reader.push(bytes.subarray(from, from + length)));
          from += length;
        }
        read.push(...reader.push(bytes.subarray(from)));
        expect(read).toEqual(lines);
      }),
    );
  });

  test('are bounded, each for itself', () => {
    const reader = new LineReader(10);
    expect(reader.push(Buffer.from('123456789\n123456789\n12345'))).toEqual(['123456789', '123456789']);
    expect(() => reader.push(Buffer.from('678901'))).toThrow(RangeError);
  });
});

describe('A frame of a watch', () => {
  const header = { cluster_id: '601', revision: '4' };
  const frame = (result: unknown) => readFrame(JSON.stringify({ result }), '/m/');

  test('begins the watch, tells events, or that what it would go on from is gone', () => {
    expect(frame({ header, created: true })).toEqual({ kind: 'created', clusterId: '601' });
    const events = [
      { kv: { key: encode('/m/a'), mod_revision: '3', value: encode('1') } },
      { type: 'DELETE', kv: { key: encode('/m/b'), mod_revision: '4' } },
    ];
    expect(frame({ header, events })).toEqual({
      kind: 'events',
      events: [
        { key: 'a', text: '1', revision: 3 },
        { key: 'b', text: null, revision: 4 },
      ],
    });
    expect(frame({ header })).toEqual({ kind: 'events', events: [] });
    expect(frame({ header, canceled: true, compact_revision: '4' })).toEqual({ kind: 'compacted' });
  });

  test('that ends it is thrown, with what can be done about it', () => {
    const reason = 'rpc error: code = Unauthenticated desc = etcdserver: invalid auth token';
    expect(() => frame({ header, created: true, canceled: true, cancel_reason: reason })).toThrow(
      expect.objectContaining({ code: 'store.denied', remedy: 'login' }),
    );
    const error = JSON.stringify({ error: { grpc_code: 14, http_code: 503, message: 'etcdserver: no leader' } });
    expect(() => readFrame(error, '/m/')).toThrow(expect.objectContaining({ code: 'store.unavailable', remedy: 'elsewhere' }));
    for (const line of ['{', 'null', '1', '{}', '{"result":1}']) expect(() => readFrame(line, '/m/'), line).toThrow(/no etcd/);
  });
});
