/** A store's key as a key of a ConfigMap, which is of `[-._A-Za-z0-9]`: `history/0000000007` is `history.0000000007`. */
export function toEntryName(key: string): string {
  return key
    .replace(/[^A-Za-z0-9/-]/gu, (character) => {
      return [...Buffer.from(character, 'utf8')].map((byte) => `_${byte.toString(16).padStart(2, '0')}`).join('');
    })
    .replaceAll('/', '.');
}

/** Undefined for what no key is written as. */
export function fromEntryName(name: string): string | undefined {
  try {
    const key = decodeURIComponent(name.replaceAll('.', '/').replace(/_([0-9a-f]{2})/g, '%$1'));
    return toEntryName(key) === name ? key : undefined;
  } catch {
    return undefined;
  }
}
