/** The lines of Prometheus metrics that say how many statements ran, and what was pinned and why; they are few. */
export function pinsIn(metrics: string): string {
  const lines = metrics.split('\n').filter((line) => /^matriarch_proxy_\w*(?:pin|quer|transaction|statement)\w*/.test(line));
  return lines
    .filter((line) => !/_bucket\{/.test(line))
    .map((line) => `  ${line}\n`)
    .join('');
}
