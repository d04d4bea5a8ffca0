import { createOpenServer, type OpenServer } from '#adapters/http/open-server.ts';
import type { ProxyConfig } from '#domain/config/proxy-config.ts';
import type { ProxySight } from './metrics.ts';
import { describeHealth, type HealthSight } from './proxy-health.ts';
import { MetricsPage } from './render-metrics.ts';

export interface MetricsDoorOptions {
  readonly listen: NonNullable<ProxyConfig['metrics']>;
  readonly metrics: () => ProxySight;
  readonly health: () => HealthSight;
  readonly onError: (error: unknown) => void;
}

/** `/metrics` and `/health` over HTTP, for anybody who reaches the port: no secret is behind it. Not started yet. */
export function createMetricsDoor({ listen, metrics, health, onError }: MetricsDoorOptions): OpenServer {
  const page = new MetricsPage(metrics);
  return createOpenServer({
    ...listen,
    realm: 'Matriarch',
    closed: { status: 403, text: 'not public' },
    onError,
    routes: [
      {
        method: 'GET',
        path: '/metrics',
        public: true,
        handle: async () => ({ status: 200, text: await page.render(), contentType: page.contentType }),
      },
      { method: 'GET', path: '/health', public: true, handle: () => describeHealth(health()) },
    ],
  });
}
