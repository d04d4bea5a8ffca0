import { METRICS } from '#programs/proxy/metrics.ts';
import { row } from './markdown.ts';

/** docs/reference/proxy-metrics.md */
export function metricsReference(): string {
  return [
    '# The metrics of a proxy',
    '',
    "At `/metrics` of the port that `metrics` in its configuration names, in Prometheus' text format. Counters only grow while the proxy lives; a pool that has not been used for long takes its own along. Histograms have buckets from 1 µs to 800 s, each 2.4 times the one before.",
    '',
    '| metric | kind | labels | meaning |',
    '|---|---|---|---|',
    ...METRICS.map(({ name, kind, labels, help }) =>
      row([`\`${name}\``, kind, labels.map((label) => `\`${label}\``).join(', '), help]),
    ),
    '',
    '## Health',
    '',
    '`/health` of the same port answers 200 while a client that comes now will be served, if only after a while, and 503 while the proxy ends or has been without a primary for longer than `timeouts.holdMs`. Its JSON: `state` (`serving`, `holding`, `withoutPrimary`, `draining`), `pid`, `epoch`, `primary`, `clients`, `waiting`, `servers`.',
    '',
  ].join('\n');
}
