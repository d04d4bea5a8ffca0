import { cString, frame, int16, int32, untypedFrame } from './frame.ts';
import { FRONTEND } from './message-types.ts';
import { PACKET_CODES, protocolVersion } from './protocol-versions.ts';

export function startupMessage(parameters: Iterable<readonly [string, string]>, minor = 0): Buffer {
  const parts = [int32(protocolVersion(minor))];
  for (const [name, value] of parameters) parts.push(cString(name), cString(value));
  return untypedFrame(...parts, Buffer.of(0));
}

export function sslRequest(): Buffer {
  return untypedFrame(int32(PACKET_CODES.ssl));
}

/** `secret`: as the server gave it in BackendKeyData, 4 to 256 bytes. */
export function cancelRequest(pid: number, secret: Buffer): Buffer {
  return untypedFrame(int32(PACKET_CODES.cancel), int32(pid), secret);
}

/** A password, or the answer of md5. */
export function passwordMessage(text: string): Buffer {
  return frame(FRONTEND.password, cString(text));
}

export function saslInitialResponse(mechanism: string, content: Buffer): Buffer {
  return frame(FRONTEND.password, cString(mechanism), int32(content.length), content);
}

export function saslResponse(content: Buffer): Buffer {
  return frame(FRONTEND.password, content);
}

export function query(text: string): Buffer {
  return frame(FRONTEND.query, cString(text));
}

export function parse(name: string, text: string, oids: readonly number[] = []): Buffer {
  return frame(FRONTEND.parse, cString(name), cString(text), int16(oids.length), ...oids.map(int32));
}

/** Values in text format, unless they are Buffers; results in text format. */
export function bind(portal: string, statement: string, values: readonly (string | Buffer | null)[] = []): Buffer {
  const parts = [cString(portal), cString(statement), int16(values.length)];
  for (const value of values) parts.push(int16(Buffer.isBuffer(value) ? 1 : 0));
  parts.push(int16(values.length));
  for (const value of values) {
    if (value === null) parts.push(int32(-1));
    else {
      const bytes = Buffer.isBuffer(value) ? value : Buffer.from(value);
      parts.push(int32(bytes.length), bytes);
    }
  }
  return frame(FRONTEND.bind, ...parts, int16(0));
}

/** A prepared statement or a portal. */
export type TargetKind = 'S' | 'P';

export function describe(kind: TargetKind, name: string): Buffer {
  return frame(FRONTEND.describe, Buffer.from(kind), cString(name));
}

export function close(kind: TargetKind, name: string): Buffer {
  return frame(FRONTEND.close, Buffer.from(kind), cString(name));
}

/** `rows`: at most so many; 0: all. */
export function execute(portal: string, rows = 0): Buffer {
  return frame(FRONTEND.execute, cString(portal), int32(rows));
}

export function copyFail(why: string): Buffer {
  return frame(FRONTEND.copyFail, cString(why));
}

const SYNC = frame(FRONTEND.sync);
const FLUSH = frame(FRONTEND.flush);
const TERMINATE = frame(FRONTEND.terminate);

/** Shared, as are flush and terminate: never write into it. */
export function sync(): Buffer {
  return SYNC;
}

export function flush(): Buffer {
  return FLUSH;
}

export function terminate(): Buffer {
  return TERMINATE;
}
