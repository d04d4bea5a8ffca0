import { cString, frame, int16, int32 } from './frame.ts';
import { BACKEND } from './message-types.ts';

/** What an error or a notice says (manual, "Error and Notice Message Fields"). */
export interface ErrorFields {
  /** Not translated. */
  readonly severity: 'ERROR' | 'FATAL' | 'PANIC' | 'WARNING' | 'NOTICE' | 'DEBUG' | 'INFO' | 'LOG';
  /** SQLSTATE. */
  readonly code: string;
  readonly message: string;
  readonly detail?: string | undefined;
  readonly hint?: string | undefined;
  readonly context?: string | undefined;
  readonly schema?: string | undefined;
  readonly table?: string | undefined;
  readonly column?: string | undefined;
  readonly dataType?: string | undefined;
  readonly constraint?: string | undefined;
  /** In characters of the statement, from 1. */
  readonly position?: number | undefined;
  readonly internalPosition?: number | undefined;
  readonly internalQuery?: string | undefined;
  readonly file?: string | undefined;
  readonly line?: number | undefined;
  readonly routine?: string | undefined;
}

// In PostgreSQL's order (elog.c, send_message_to_frontend).
const FIELDS: readonly (readonly [string, keyof ErrorFields])[] = [
  ['S', 'severity'],
  ['V', 'severity'],
  ['C', 'code'],
  ['M', 'message'],
  ['D', 'detail'],
  ['H', 'hint'],
  ['W', 'context'],
  ['s', 'schema'],
  ['t', 'table'],
  ['c', 'column'],
  ['d', 'dataType'],
  ['n', 'constraint'],
  ['P', 'position'],
  ['p', 'internalPosition'],
  ['q', 'internalQuery'],
  ['F', 'file'],
  ['L', 'line'],
  ['R', 'routine'],
];

function fieldsOf(fields: ErrorFields): Buffer {
  let body = '';
  for (const [letter, key] of FIELDS) {
    const value = fields[key];
    // An error has to arrive even if it quotes a NUL.
    if (value !== undefined) body += `${letter}${String(value).replaceAll('\0', '')}\0`;
  }
  return Buffer.from(`${body}\0`);
}

export function errorResponse(fields: ErrorFields): Buffer {
  return frame(BACKEND.errorResponse, fieldsOf(fields));
}

export function noticeResponse(fields: ErrorFields): Buffer {
  return frame(BACKEND.noticeResponse, fieldsOf(fields));
}

export function authenticationOk(): Buffer {
  return frame(BACKEND.authentication, int32(0));
}

export function authenticationCleartext(): Buffer {
  return frame(BACKEND.authentication, int32(3));
}

/** `salt`: 4 bytes. */
export function authenticationMd5(salt: Buffer): Buffer {
  if (salt.length !== 4) throw new RangeError('the salt of md5 has 4 bytes');
  return frame(BACKEND.authentication, int32(5), salt);
}

export function authenticationSasl(mechanisms: readonly string[]): Buffer {
  return frame(BACKEND.authentication, int32(10), ...mechanisms.map(cString), Buffer.of(0));
}

export function authenticationSaslContinue(content: Buffer): Buffer {
  return frame(BACKEND.authentication, int32(11), content);
}

export function authenticationSaslFinal(content: Buffer): Buffer {
  return frame(BACKEND.authentication, int32(12), content);
}

export function parameterStatus(name: string, value: string): Buffer {
  return frame(BACKEND.parameterStatus, cString(name), cString(value));
}

/** `secret`: 4 bytes in protocol 3.0, up to 256 in 3.2. */
export function backendKeyData(pid: number, secret: Buffer): Buffer {
  return frame(BACKEND.backendKeyData, int32(pid), secret);
}

const READY = {
  I: frame(BACKEND.readyForQuery, Buffer.from('I')),
  T: frame(BACKEND.readyForQuery, Buffer.from('T')),
  E: frame(BACKEND.readyForQuery, Buffer.from('E')),
} as const;
const PARSE_COMPLETE = frame(BACKEND.parseComplete);
const BIND_COMPLETE = frame(BACKEND.bindComplete);
const CLOSE_COMPLETE = frame(BACKEND.closeComplete);
const NO_DATA = frame(BACKEND.noData);
const EMPTY_QUERY = frame(BACKEND.emptyQueryResponse);

/** Shared, as are the other messages without content: never write into it. */
export function readyForQuery(status: 'I' | 'T' | 'E'): Buffer {
  return READY[status];
}

export function parseComplete(): Buffer {
  return PARSE_COMPLETE;
}

export function bindComplete(): Buffer {
  return BIND_COMPLETE;
}

export function closeComplete(): Buffer {
  return CLOSE_COMPLETE;
}

export function noData(): Buffer {
  return NO_DATA;
}

export function emptyQueryResponse(): Buffer {
  return EMPTY_QUERY;
}

export function commandComplete(tag: string): Buffer {
  return frame(BACKEND.commandComplete, cString(tag));
}

export interface Column {
  readonly name: string;
  readonly typeOid: number;
  /** Bytes of a value; -1, the default: it varies. */
  readonly typeSize?: number;
}

/** Columns that belong to no table, in text format. */
export function rowDescription(columns: readonly Column[]): Buffer {
  const parts = [int16(columns.length)];
  for (const { name, typeOid, typeSize = -1 } of columns) {
    parts.push(cString(name), int32(0), int16(0), int32(typeOid), int16(typeSize), int32(-1), int16(0));
  }
  return frame(BACKEND.rowDescription, ...parts);
}

export function dataRow(values: readonly (string | null)[]): Buffer {
  const parts = [int16(values.length)];
  for (const value of values) {
    if (value === null) parts.push(int32(-1));
    else {
      const bytes = Buffer.from(value);
      parts.push(int32(bytes.length), bytes);
    }
  }
  return frame(BACKEND.dataRow, ...parts);
}

export function parameterDescription(oids: readonly number[]): Buffer {
  return frame(BACKEND.parameterDescription, int16(oids.length), ...oids.map(int32));
}

export function notificationResponse(pid: number, channel: string, payload: string): Buffer {
  return frame(BACKEND.notificationResponse, int32(pid), cString(channel), cString(payload));
}
