/**
 * A Parse, Bind, Describe or Close with another statement name. Only the name changes: what follows is copied byte by byte, whatever
 * its encoding. A message that is malformed where the name is comes back as it was, for the server to refuse.
 */
export function renameParse(message: Buffer, name: string): Buffer {
  return replaceName(message, 5, name);
}

export function renameBind(message: Buffer, statement: string): Buffer {
  const portalEnd = endOfString(message, 5);
  return portalEnd < 0 ? message : replaceName(message, portalEnd + 1, statement);
}

/** Of a Describe or a Close. */
export function renameTarget(message: Buffer, name: string): Buffer {
  return replaceName(message, 6, name);
}

function replaceName(message: Buffer, start: number, name: string): Buffer {
  const end = endOfString(message, start);
  if (end < 0) return message;
  const bytes = Buffer.byteLength(name);
  const renamed = Buffer.allocUnsafe(message.length - (end - start) + bytes);
  // Names are short: a loop is quicker than the calls that copy.
  for (let at = 0; at < start; at++) renamed[at] = message[at] as number;
  let ascii = true;
  for (let at = 0; at < name.length; at++) {
    const code = name.charCodeAt(at);
    if (code === 0) throw new RangeError('a string of the protocol cannot hold a NUL');
    if (code > 0x7f) ascii = false;
    renamed[start + at] = code;
  }
  if (!ascii) renamed.write(name, start);
  message.copy(renamed, start + bytes, end);
  const length = renamed.length - 1;
  renamed[1] = length >>> 24;
  renamed[2] = length >>> 16;
  renamed[3] = length >>> 8;
  renamed[4] = length;
  return renamed;
}

function endOfString(message: Buffer, start: number): number {
  for (let at = start; at < message.length; at++) if (message[at] === 0) return at;
  return -1;
}
