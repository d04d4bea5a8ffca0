import { LATEST_MINOR, MAJOR, PACKET_CODES } from './protocol-versions.ts';

/** PostgreSQL's MAX_STARTUP_PACKET_LENGTH, without the length itself. */
const MAX_STARTUP_BYTES = 10_000;
/** PostgreSQL's NAMEDATALEN, without the NUL. */
const MAX_NAME_BYTES = 63;

/**
 * The first packet of a connection. `length`: the bytes it took; of `ssl` and `gss` it is 8, and whoever finds more behind them ends
 * the connection: those bytes came before the encryption.
 */
export type Startup =
  | { readonly kind: 'incomplete' }
  | { readonly kind: 'ssl'; readonly length: 8 }
  | { readonly kind: 'gss'; readonly length: 8 }
  | { readonly kind: 'cancel'; readonly pid: number; readonly secret: Buffer; readonly length: number }
  | {
      readonly kind: 'startup';
      readonly major: number;
      readonly minor: number;
      /** With `user` and `database`, cut to 63 bytes as PostgreSQL cuts names. A name given twice has its last value. */
      readonly parameters: ReadonlyMap<string, string>;
      readonly length: number;
    }
  | { readonly kind: 'invalid'; readonly code: string; readonly message: string };

/** Reads as PostgreSQL 18 does (backend_startup.c). Asks for no more than 10,004 bytes: a longer packet is invalid at once. */
export function readStartup(bytes: Buffer): Startup {
  if (bytes.length < 4) return { kind: 'incomplete' };
  const length = bytes.readUInt32BE(0);
  if (length < 8 || length > MAX_STARTUP_BYTES + 4) return invalid('08P01', 'invalid length of startup packet');
  if (bytes.length < length) return { kind: 'incomplete' };
  const packet = bytes.subarray(0, length);
  const code = packet.readInt32BE(4);
  if (code === PACKET_CODES.ssl || code === PACKET_CODES.gss) {
    if (length !== 8) return invalid('08P01', 'invalid length of startup packet');
    return { kind: code === PACKET_CODES.ssl ? 'ssl' : 'gss', length };
  }
  if (code === PACKET_CODES.cancel) return readCancel(packet);
  const major = packet.readUInt16BE(4);
  const minor = packet.readUInt16BE(6);
  if (major !== MAJOR) {
    const asked = `unsupported frontend protocol ${major}.${minor}`;
    return invalid('0A000', `${asked}: server supports ${MAJOR}.0 to ${MAJOR}.${LATEST_MINOR}`);
  }
  return readSession(packet, minor);
}

function readCancel(packet: Buffer): Startup {
  const secret = Buffer.from(packet.subarray(12));
  if (secret.length < 4 || secret.length > 256) return invalid('08P01', 'invalid length of startup packet');
  return { kind: 'cancel', pid: packet.readInt32BE(8), secret, length: packet.length };
}

function readSession(packet: Buffer, minor: number): Startup {
  const pairs = readPairs(packet);
  if (pairs === undefined) {
    return invalid('08P01', 'invalid startup packet layout: expected terminator as last byte');
  }
  const parameters = new Map<string, string>();
  for (const [name, value] of pairs) {
    // A name is looked up as text; two that differ only in bytes without a meaning must not become one.
    if (name === undefined || value === undefined) return invalid('22021', 'invalid byte sequence for encoding "UTF8"');
    parameters.set(name, value);
  }
  const user = cutName(parameters.get('user') ?? '');
  if (user === '') return invalid('28000', 'no PostgreSQL user name specified in startup packet');
  parameters.set('user', user);
  parameters.set('database', cutName(parameters.get('database') || user));
  return { kind: 'startup', major: MAJOR, minor, parameters, length: packet.length };
}

function readPairs(packet: Buffer): [string | undefined, string | undefined][] | undefined {
  const pairs: [string | undefined, string | undefined][] = [];
  let at = 8;
  while (at < packet.length && packet[at] !== 0) {
    const nameEnd = packet.indexOf(0, at);
    const valueEnd = nameEnd < 0 ? -1 : packet.indexOf(0, nameEnd + 1);
    if (valueEnd < 0) return undefined;
    pairs.push([decode(packet.subarray(at, nameEnd)), decode(packet.subarray(nameEnd + 1, valueEnd))]);
    at = valueEnd + 1;
  }
  return at === packet.length - 1 ? pairs : undefined;
}

function decode(bytes: Buffer): string | undefined {
  const text = bytes.toString();
  return Buffer.from(text).equals(bytes) ? text : undefined;
}

/** Never in the midst of a character, as CREATE ROLE and CREATE DATABASE cut. */
function cutName(name: string): string {
  if (Buffer.byteLength(name) <= MAX_NAME_BYTES) return name;
  let bytes = 0;
  let cut = '';
  for (const character of name) {
    bytes += Buffer.byteLength(character);
    if (bytes > MAX_NAME_BYTES) break;
    cut += character;
  }
  return cut;
}

function invalid(code: string, message: string): Startup {
  return { kind: 'invalid', code, message };
}
