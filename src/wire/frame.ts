/** A message with its type byte and its length. */
export function frame(type: number, ...parts: readonly Buffer[]): Buffer {
  let size = 5;
  for (const part of parts) size += part.length;
  const message = Buffer.allocUnsafe(size);
  message[0] = type;
  message.writeUInt32BE(size - 1, 1);
  let at = 5;
  for (const part of parts) at += part.copy(message, at);
  return message;
}

/** A packet of the start of a connection: it has no type byte. */
export function untypedFrame(...parts: readonly Buffer[]): Buffer {
  return frame(0, ...parts).subarray(1);
}

export function int16(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(2);
  bytes.writeUInt16BE(value & 0xffff);
  return bytes;
}

export function int32(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(4);
  bytes.writeInt32BE(value | 0);
  return bytes;
}

/** RangeError for a text with a NUL: behind it a reader would see fields that nobody wrote. */
export function cString(text: string): Buffer {
  if (text.includes('\0')) throw new RangeError('a string of the protocol cannot hold a NUL');
  return Buffer.from(`${text}\0`);
}

/** The length field of a message, which stands behind its type: signed, as it comes. */
export function sizeAt(bytes: Buffer, at: number): number {
  return (
    ((bytes[at] as number) << 24) |
    ((bytes[at + 1] as number) << 16) |
    ((bytes[at + 2] as number) << 8) |
    (bytes[at + 3] as number)
  );
}
