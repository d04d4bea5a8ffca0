import { NAME_PREFIX } from './prepared-on-server.ts';
import { toServers } from './server-connection.ts';

const QUESTION_MARK = 0x3f;

/**
 * A message with the name, at `nameAt`, of a statement that the client has not prepared: the server knows it from SQL's PREPARE or not
 * at all. One of the proxy's names is neither.
 */
export function passUnknown(bytes: Buffer, from: number, to: number, nameAt: number): void {
  if (bytes.toString('latin1', nameAt, nameAt + NAME_PREFIX.length) !== NAME_PREFIX) return toServers.pass(bytes, from, to);
  const message = Buffer.from(bytes.subarray(from, to));
  message[nameAt - from] = QUESTION_MARK;
  toServers.add(message);
}
