/**
 * UTF-8, where it is; a text in another encoding keeps its bytes apart from every other text, as U+0000 and one character a byte.
 * Otherwise two statements of a LATIN1 client, `é` and `è`, would be one.
 */
export function readText(bytes: Buffer, start: number, end: number): string {
  if (start === end) return '';
  const text = bytes.toString('utf8', start, end);
  if (!text.includes('\ufffd') || Buffer.from(text).equals(bytes.subarray(start, end))) return text;
  return `\0${bytes.toString('latin1', start, end)}`;
}
