import type { IncomingMessage } from 'node:http';
import { request } from '#adapters/http/node-http.ts';
import type { ProxyDescription } from '#domain/config/cluster-description.ts';
import type { ProxyHealth } from '#domain/proxy-health.ts';

/** It answers from memory. */
const TIMEOUT_MS = 1000;
const MAX_ANSWER_BYTES = 64 * 1024;

/** How the proxy is; undefined when it does not answer. */
export async function askProxy({
  host,
  metricsPort,
}: Pick<ProxyDescription, 'host' | 'metricsPort'>): Promise<ProxyHealth | undefined> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const asking = request({ host, port: metricsPort, path: '/health', agent: false, signal: AbortSignal.timeout(TIMEOUT_MS) });
  asking.on('error', reject);
  asking.on('response', (response: IncomingMessage) => {
    let text = '';
    response.setEncoding('utf8');
    response.on('data', (chunk: string) => {
      text += chunk;
      if (text.length > MAX_ANSWER_BYTES) asking.destroy(new Error('the answer is too large'));
    });
    response.on('error', reject);
    response.on('end', () => resolve(text));
  });
  asking.end();
  try {
    const health = JSON.parse(await promise) as ProxyHealth;
    // Whoever else may have taken the port.
    return typeof health?.state === 'string' && typeof health.clients === 'number' ? health : undefined;
  } catch {
    return undefined;
  }
}
