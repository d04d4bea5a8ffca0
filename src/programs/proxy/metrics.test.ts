import { expect, test } from 'vitest';
import { METRICS, type ProxySight } from './metrics.ts';
import { ProxyStats, tally } from './proxy-stats.ts';
import { MetricsPage } from './render-metrics.ts';

function page(change: Partial<ProxySight> = {}) {
  const stats = new ProxyStats();
  return { stats, page: new MetricsPage(() => ({ stats, hasPrimary: true, epoch: 3, draining: false, ...change })) };
}

const readValue = (text: string, series: string) =>
  text
    .split('\n')
    .find((line) => line.startsWith(`${series} `))
    ?.slice(series.length + 1);

test('every metric is there from the first scrape on, with its help', async () => {
  const text = await page().page.render();
  for (const { name, kind } of METRICS) expect(text).toContain(`# TYPE ${name} ${kind}\n`);
  expect(readValue(text, 'matriarch_proxy_has_primary')).toBe('1');
  expect(readValue(text, 'matriarch_proxy_epoch')).toBe('3');
  expect(readValue(text, 'matriarch_proxy_wait_seconds_count')).toBe('0');
});

test('the counters of the data path come out, and again with the next scrape', async () => {
  const { stats, page: metrics } = page();
  const pool = stats.pool('shop', 'app');
  expect(stats.pool('shop', 'app')).toBe(pool);
  pool.transactions += 7;
  pool.servers.active += 2;
  tally(pool.pinned, 'temporary table');
  tally(stats.errors, '53', 2);
  tally(stats.clients.refused, 'limit of clients');
  stats.latency.wait.observe(1500);
  const series = 'matriarch_proxy_transactions_total{database="shop",role="app"}';
  expect(readValue(await metrics.render(), series)).toBe('7');
  pool.transactions += 1;
  const text = await metrics.render();
  expect(readValue(text, series)).toBe('8');
  expect(readValue(text, 'matriarch_proxy_servers{database="shop",role="app",state="active"}')).toBe('2');
  expect(readValue(text, 'matriarch_proxy_servers{database="shop",role="app",state="pinned"}')).toBe('1');
  expect(readValue(text, 'matriarch_proxy_pinned{database="shop",role="app",reason="temporary table"}')).toBe('1');
  expect(readValue(text, 'matriarch_proxy_errors_total{class="53"}')).toBe('2');
  expect(readValue(text, 'matriarch_proxy_refused_total{reason="limit of clients"}')).toBe('1');
  expect(readValue(text, 'matriarch_proxy_wait_seconds_bucket{le="+Inf"}')).toBe('1');
  expect(readValue(text, 'matriarch_proxy_wait_seconds_sum')).toBe('0.0015');
  stats.forgetPool('shop', 'app');
  expect(await metrics.render()).not.toContain('database="shop"');
});

test('the names of databases and roles cannot write lines of their own', async () => {
  const { stats, page: metrics } = page();
  stats.pool('a"b\nmatriarch_proxy_epoch 9', 'back\\slash').queries += 1;
  const text = await metrics.render();
  expect(readValue(text, 'matriarch_proxy_epoch')).toBe('3');
  expect(text.split('\n').filter((line) => line.startsWith('matriarch_proxy_epoch'))).toHaveLength(1);
});

test('buckets grow and end with all', async () => {
  const { stats, page: metrics } = page();
  for (let us = 1; us < 1e10; us *= 2) stats.latency.query.observe(us);
  const lines = (await metrics.render()).split('\n').filter((line) => line.startsWith('matriarch_proxy_query_seconds_bucket'));
  const counts = lines.map((line) => Number(line.split(' ')[1]));
  const ends = lines.map((line) => Number(/le="([^"]+)"/.exec(line)?.[1]?.replace('+Inf', 'Infinity')));
  expect(counts).toEqual(counts.toSorted((a, b) => a - b));
  expect(ends).toEqual(ends.toSorted((a, b) => a - b));
  expect(new Set(ends).size).toBe(ends.length);
  expect(counts.at(-1)).toBe(34);
});
