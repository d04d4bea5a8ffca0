/**
 * A Parse, Bind, Describe or Close with another statement name. Only the name changes: what follows is copied byte by byte, whatever
 * its encoding. A message that is malformed where the name is comes back as it was, for the server to refuse.
 */
export function renameParse(message: Buffer, name: string): Buffer {
  return replaceName(message, 5, name);
}

export function renameBind(message: Buffer, statement: string): Buffer {
  const portalEnd = message.indexOf(0, 5);
  return portalEnd < 0 ? message : replaceName(message, portalEnd + 1, statement);
}

/** Of a Describe or a Close. */
export function renameTarget(message: Buffer, name: string): Buffer {
  return replaceName(message, 6, name);
}

function replaceName(message: Buffer, start: number, name: string): Buffer {
  if (name.includes('\0')) throw new RangeError('a string of the protocol cannot hold a NUL');
  const end = message.indexOf(0, start);
  if (start > message.length || end < 0) return message;
  const nameBytes = Buffer.byteLength(name);
  const renamed = Buffer.allocUnsafe(message.length - (end - start) + nameBytes);
  message.copy(renamed, 0, 0, start);
  renamed.write(name, start);
  message.copy(renamed, start + nameBytes, end);
  renamed.writeUInt32BE(renamed.length - 1, 1);
  return renamed;
}
