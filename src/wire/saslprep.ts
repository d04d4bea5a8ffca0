/**
 * Characters that PostgreSQL refuses to prepare (saslprep.c) and the library prepares: PostgreSQL looks for what is prohibited, or
 * younger than Unicode 3.2, before the normalisation, which turns these into older ones.
 */
const REFUSED = new RegExp(
  [
    '[\\u0340\\u0341\\u03f9\\u10fc\\u1d2c-\\u1dbf\\u2090-\\u209c\\u213b\\u213c\\u2150-\\u2152\\u2189\\u2c7c\\u2c7d',
    '\\u321d\\u321e\\u3244-\\u3250\\u327c-\\u327e\\u32cc-\\u32cf\\u32ff\\u3377-\\u337a\\u33de\\u33df\\u33ff',
    '\\ua69c-\\uab69\\ufa2e\\ufa2f\\ufa6b-\\ufad9\\ufe10-\\ufe19\\ufe47\\ufe48',
    '\\u{10781}-\\u{1ccf9}\\u{1d4c1}\\u{1d6a4}\\u{1d7ca}\\u{1d7cb}\\u{1e030}-\\u{1fbf9}]',
  ].join(''),
  'u',
);

/**
 * A password as PostgreSQL hashes it: prepared by SASLprep (RFC 4013), and as it stands where that refuses it, as it does an emoji.
 * Known to differ from PostgreSQL only where a right-to-left script meets a compatibility character such as U+2116.
 */
export async function saslprep(password: string): Promise<string> {
  if (/^[\x20-\x7e]*$/.test(password) || REFUSED.test(password)) return password;
  // 8 MB of tables: for who needs them.
  const { default: prepare } = await import('@mongodb-js/saslprep');
  try {
    return prepare(password);
  } catch {
    return password;
  }
}
