import { BodyReader } from './body-reader.ts';
import type { TargetKind } from './encode-frontend.ts';
import { FRONTEND } from './message-types.ts';

/**
 * For the console and for logs. A statement in another encoding than UTF-8 comes as `readText` says: whoever sends it on sends the
 * bytes.
 */
export function readQuery(message: Buffer): string | undefined {
  const body = new BodyReader(message, FRONTEND.query);
  const text = body.cString();
  return body.ended ? text : undefined;
}

export interface ParseMessage {
  readonly name: string;
  readonly text: string;
  readonly oids: readonly number[];
}

export function readParse(message: Buffer): ParseMessage | undefined {
  const body = new BodyReader(message, FRONTEND.parse);
  const name = body.cString();
  const text = body.cString();
  const oids: number[] = [];
  for (let count = body.uint16(); count > 0 && !body.malformed; count--) oids.push(body.uint32());
  return body.ended ? { name, text, oids } : undefined;
}

/** What follows the names is the server's to check. */
export function readBindNames(message: Buffer): { readonly portal: string; readonly statement: string } | undefined {
  const body = new BodyReader(message, FRONTEND.bind);
  const portal = body.cString();
  const statement = body.cString();
  return body.malformed ? undefined : { portal, statement };
}

/** Of a Describe or a Close. */
export function readTarget(message: Buffer): { readonly kind: TargetKind; readonly name: string } | undefined {
  const body = new BodyReader(message, FRONTEND.describe, FRONTEND.close);
  const kind = String.fromCharCode(body.byte());
  const name = body.cString();
  return body.ended && (kind === 'S' || kind === 'P') ? { kind, name } : undefined;
}

export function readExecute(message: Buffer): { readonly portal: string; readonly rows: number } | undefined {
  const body = new BodyReader(message, FRONTEND.execute);
  const portal = body.cString();
  const rows = body.int32();
  return body.ended ? { portal, rows } : undefined;
}

/** `data`: null where the client sent none. */
export function readSaslInitial(message: Buffer): { readonly mechanism: string; readonly data: Buffer | null } | undefined {
  const body = new BodyReader(message, FRONTEND.password);
  const mechanism = body.cString();
  const content = body.value();
  return body.ended ? { mechanism, data: content } : undefined;
}

export function readSaslResponse(message: Buffer): Buffer | undefined {
  const body = new BodyReader(message, FRONTEND.password);
  const content = body.rest();
  return body.ended ? content : undefined;
}

/** A password or the answer of md5. */
export function readPassword(message: Buffer): string | undefined {
  const body = new BodyReader(message, FRONTEND.password);
  const text = body.cString();
  return body.ended ? text : undefined;
}
