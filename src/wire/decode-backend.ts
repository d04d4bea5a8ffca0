import { BodyReader } from './body-reader.ts';
import { BACKEND } from './message-types.ts';

/** By their letters: `C` is the SQLSTATE, `M` the message. Of an ErrorResponse or a NoticeResponse. */
export function readErrorFields(message: Buffer): ReadonlyMap<string, string> | undefined {
  const body = new BodyReader(message, BACKEND.errorResponse, BACKEND.noticeResponse);
  const fields = new Map<string, string>();
  for (let letter = body.byte(); letter !== 0; letter = body.byte()) fields.set(String.fromCharCode(letter), body.cString());
  return body.ended ? fields : undefined;
}

export function readParameterStatus(message: Buffer): { readonly name: string; readonly value: string } | undefined {
  const body = new BodyReader(message, BACKEND.parameterStatus);
  const name = body.cString();
  const value = body.cString();
  return body.ended ? { name, value } : undefined;
}

/** The secret is a copy: it outlives the message. */
export function readBackendKeyData(message: Buffer): { readonly pid: number; readonly secret: Buffer } | undefined {
  const body = new BodyReader(message, BACKEND.backendKeyData);
  const pid = body.int32();
  const secret = Buffer.from(body.rest());
  return body.ended && secret.length >= 4 && secret.length <= 256 ? { pid, secret } : undefined;
}

export type AuthenticationRequest =
  | { readonly kind: 'ok' }
  | { readonly kind: 'cleartext' }
  | { readonly kind: 'md5'; readonly salt: Buffer }
  | { readonly kind: 'sasl'; readonly mechanisms: readonly string[] }
  | { readonly kind: 'saslContinue'; readonly data: Buffer }
  | { readonly kind: 'saslFinal'; readonly data: Buffer }
  /** GSSAPI, SSPI and what is yet to come. */
  | { readonly kind: 'other'; readonly type: number };

export function readAuthentication(message: Buffer): AuthenticationRequest | undefined {
  const body = new BodyReader(message, BACKEND.authentication);
  const type = body.int32();
  if (body.malformed) return undefined;
  const request = readRequest(type, body);
  return body.ended ? request : undefined;
}

function readRequest(type: number, body: BodyReader): AuthenticationRequest {
  switch (type) {
    case 0:
      return { kind: 'ok' };
    case 3:
      return { kind: 'cleartext' };
    case 5:
      return { kind: 'md5', salt: body.bytes(4) };
    case 10:
      return { kind: 'sasl', mechanisms: readMechanisms(body) };
    case 11:
      return { kind: 'saslContinue', data: body.rest() };
    case 12:
      return { kind: 'saslFinal', data: body.rest() };
    default:
      body.rest();
      return { kind: 'other', type };
  }
}

function readMechanisms(body: BodyReader): string[] {
  const mechanisms: string[] = [];
  for (let name = body.cString(); name !== ''; name = body.cString()) mechanisms.push(name);
  return mechanisms;
}

/** The names of the columns. */
export function readRowDescription(message: Buffer): string[] | undefined {
  const body = new BodyReader(message, BACKEND.rowDescription);
  const names: string[] = [];
  for (let count = body.uint16(); count > 0 && !body.malformed; count--) {
    names.push(body.cString());
    body.bytes(18);
  }
  return body.ended ? names : undefined;
}

/** Of a result in text format. */
export function readDataRow(message: Buffer): (string | null)[] | undefined {
  const body = new BodyReader(message, BACKEND.dataRow);
  const values: (string | null)[] = [];
  for (let count = body.uint16(); count > 0 && !body.malformed; count--) values.push(body.value()?.toString() ?? null);
  return body.ended ? values : undefined;
}

export interface Notification {
  readonly pid: number;
  readonly channel: string;
  readonly payload: string;
}

export function readNotification(message: Buffer): Notification | undefined {
  const body = new BodyReader(message, BACKEND.notificationResponse);
  const pid = body.int32();
  const channel = body.cString();
  const payload = body.cString();
  return body.ended ? { pid, channel, payload } : undefined;
}

export function readCommandTag(message: Buffer): string | undefined {
  const body = new BodyReader(message, BACKEND.commandComplete);
  const tag = body.cString();
  return body.ended ? tag : undefined;
}

export function readReadyStatus(message: Buffer): 'I' | 'T' | 'E' | undefined {
  const body = new BodyReader(message, BACKEND.readyForQuery);
  const status = String.fromCharCode(body.byte());
  return body.ended && (status === 'I' || status === 'T' || status === 'E') ? status : undefined;
}

/** What a server that is older than the protocol asked for answers. */
export function readNegotiation(message: Buffer): { readonly minor: number; readonly unknown: readonly string[] } | undefined {
  const body = new BodyReader(message, BACKEND.negotiateProtocolVersion);
  const minor = body.uint32() & 0xffff;
  const unknown: string[] = [];
  for (let count = body.uint32(); count > 0 && !body.malformed; count--) unknown.push(body.cString());
  return body.ended ? { minor, unknown } : undefined;
}
