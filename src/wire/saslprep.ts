// RFC 3454, tables C.1.2 and B.1.
const SPACES = /[\u00A0\u1680\u2000-\u200B\u202F\u205F\u3000]/gu;
const NOTHING = /\u00AD|\u034F|\u1806|[\u180B-\u180D]|\u200C|\u200D|\u2060|[\uFE00-\uFE0F]|\uFEFF/gu;

/** A password as PostgreSQL hashes it (RFC 4013). */
export function saslprep(password: string): string {
  if (/^[\x20-\x7e]*$/.test(password)) return password;
  return password.replace(SPACES, ' ').replace(NOTHING, '').normalize('NFKC');
}
