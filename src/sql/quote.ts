/** A name as SQL text, always in quotes: exact, and never a keyword. */
export function quoteIdentifier(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** An expression for `text` that reads the same in every client encoding. */
export function asciiLiteral(text: string): string {
  const bytes = Buffer.from(text);
  if (bytes.length === text.length) return quoteLiteral(text);
  return `pg_catalog.convert_from(pg_catalog.decode('${bytes.toString('hex')}', 'hex'), 'UTF8')`;
}

/** A literal that means the same with `standard_conforming_strings` on and off. The text holds no NUL: no literal can. */
export function quoteLiteral(text: string): string {
  const doubled = text.replaceAll("'", "''");
  return doubled.includes('\\') ? `E'${doubled.replaceAll('\\', '\\\\')}'` : `'${doubled}'`;
}
