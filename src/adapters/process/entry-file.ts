/**
 * The file of a program of its own, `path` from the caller and without suffix. In a checkout it is a `.ts`; in a bundle, where all files
 * lie in one folder, `../cli/main` is `cli-main.js`.
 */
export function entryFile(callerUrl: string, path: string): URL {
  if (callerUrl.endsWith('.ts')) return new URL(`${path}.ts`, callerUrl);
  const flat = path.split('/').filter((part) => !part.startsWith('.'));
  return new URL(`./${flat.join('-')}.js`, callerUrl);
}
