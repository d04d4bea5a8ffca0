/** The file of a program of its own beside the caller: `.ts` in a checkout, `.js` in a bundle. `name` without suffix. */
export function entryFile(callerUrl: string, name: string): URL {
  return new URL(`./${name}${callerUrl.endsWith('.ts') ? '.ts' : '.js'}`, callerUrl);
}
