/** A parameter's value as postgresql.conf takes it (manual, section 20.1.2): both quotes and backslashes are doubled or escaped. */
export function quoteSetting(value: string): string {
  if (/[\r\n\0]/.test(value)) throw new TypeError('a setting is one line');
  return `'${value.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`;
}

export function formatSettings(settings: Readonly<Record<string, string>>): string {
  return Object.entries(settings)
    .map(([name, value]) => `${name} = ${quoteSetting(value)}\n`)
    .join('');
}

const LINE = /^([A-Za-z_][\w.]*) = '((?:[^'\\]|''|\\\\)*)'$/;

/** Reads what `formatSettings` wrote. Lines of any other form are ignored. */
export function parseSettings(text: string): Readonly<Record<string, string>> {
  const settings: Record<string, string> = {};
  for (const line of text.split('\n')) {
    const match = LINE.exec(line);
    if (match?.[1] !== undefined && match[2] !== undefined) {
      settings[match[1]] = match[2].replaceAll("''", "'").replaceAll('\\\\', '\\');
    }
  }
  return settings;
}

/** The names that are set in a postgresql.auto.conf, lower case (ALTER SYSTEM writes one a line). */
export function settingNames(text: string): readonly string[] {
  return text.split('\n').flatMap((line) => /^\s*([A-Za-z_][\w.]*)\s*=/.exec(line)?.[1]?.toLowerCase() ?? []);
}

/** The text without the lines that set one of `names`. */
export function withoutSettings(text: string, names: ReadonlySet<string>): string {
  return text
    .split('\n')
    .filter((line) => !names.has(/^\s*([A-Za-z_][\w.]*)\s*=/.exec(line)?.[1]?.toLowerCase() ?? ''))
    .join('\n');
}
