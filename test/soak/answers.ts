import { readCommandTag, readDataRow, readErrorFields, readNotification } from '#wire/decode-backend.ts';
import { BACKEND } from '#wire/message-types.ts';

/** What came in answer to one Query, or to one group of the extended protocol. */
export interface Answer {
  readonly rows: readonly (readonly (string | null)[])[];
  readonly tags: readonly string[];
  /** SQLSTATEs, in order. */
  readonly errors: readonly string[];
  readonly complaint: string | null;
  readonly copied: Buffer;
  readonly status: string;
  /** The types of all messages but the asynchronous ones, one letter each. */
  readonly shape: string;
}

export interface Heard {
  readonly channel: string;
  readonly payload: string;
}

/** Notifications go to `heard`: they may come in the middle of anything. */
export function readAnswer(messages: readonly Buffer[], heard: Heard[]): Answer {
  const rows: (string | null)[][] = [];
  const tags: string[] = [];
  const errors: string[] = [];
  const copied: Buffer[] = [];
  let complaint: string | null = null;
  let status = '?';
  let shape = '';
  for (const message of messages) {
    const type = message[0];
    if (type === BACKEND.notificationResponse) {
      const { channel = '', payload = '' } = readNotification(message) ?? {};
      heard.push({ channel, payload });
      continue;
    }
    if (type === BACKEND.noticeResponse) continue;
    const letter = String.fromCharCode(type ?? 0);
    // A thousand rows are one letter.
    if (letter !== shape.at(-1) || !'Dd'.includes(letter)) shape += letter;
    if (type === BACKEND.dataRow) rows.push(readDataRow(message) ?? ['not a row']);
    else if (type === BACKEND.commandComplete) tags.push(readCommandTag(message) ?? '');
    else if (type === BACKEND.copyData) copied.push(message.subarray(5));
    else if (type === BACKEND.readyForQuery) status = String.fromCharCode(message[5] ?? 0);
    else if (type === BACKEND.errorResponse) {
      const fields = readErrorFields(message);
      errors.push(fields?.get('C') ?? '');
      complaint ??= fields?.get('M') ?? '';
    }
  }
  return { rows, tags, errors, complaint, copied: Buffer.concat(copied), status, shape };
}
