import { NO_HAZARDS } from '#sql/hazards.ts';
import { readStatement } from '#sql/read-statement.ts';
import { summarize } from './summary.ts';

const ROUNDS = 15;
const ROUND_MS = 100;

const SHORT = 'SELECT abalance FROM pgbench_accounts WHERE aid = 4';
const MIDDLE = `SELECT "users"."id", "users"."email", "users"."created_at", "orders"."id" AS "orderId", "orders"."total"
FROM "users" LEFT JOIN "orders" ON "orders"."user_id" = "users"."id" AND "orders"."state" <> 'deleted'
WHERE "users"."tenant_id" = $1 AND ("users"."email" ILIKE $2 OR lower("users"."name") LIKE $3)
ORDER BY "users"."created_at" DESC LIMIT 20`;
const LONG = `INSERT INTO events (id, kind, payload) VALUES ${Array.from({ length: 80 }, (_, row) => `(${row}, 'click', '{"page": "/products/${row}", "at": "2026-01-01"}')`).join(', ')}`;

/** What it costs to read a text before it runs, by its length. */
export function benchSql(json: boolean): void {
  const results = [SHORT, MIDDLE, LONG].map((text) => ({ bytes: Buffer.byteLength(text), nsPerText: measure(text) }));
  if (json) process.stdout.write(`${JSON.stringify(results, null, 2)}\n`);
  else {
    for (const { bytes, nsPerText } of results) {
      process.stdout.write(`${bytes} bytes: ${nsPerText.toFixed(0)} ns, ${(nsPerText / bytes).toFixed(2)} ns a byte\n`);
    }
  }
}

/** Nanoseconds of processor time, so that a busy machine does not count: the median of the rounds. */
function measure(text: string): number {
  const bytes = Buffer.from(text);
  const times: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const before = process.cpuUsage();
    const until = performance.now() + ROUND_MS;
    let count = 0;
    while (performance.now() < until) {
      for (let i = 0; i < 1000; i++) readStatement(bytes, 0, bytes.length, NO_HAZARDS);
      count += 1000;
    }
    const { user, system } = process.cpuUsage(before);
    times.push(((user + system) * 1000) / count);
  }
  return summarize(times).median;
}
