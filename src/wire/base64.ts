/** Strictly: one text for every content. Undefined for any other, which Node's own decoder would guess at. */
export function decodeBase64(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64');
  return bytes.toString('base64') === text ? bytes : undefined;
}
