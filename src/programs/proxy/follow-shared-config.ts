import { setTimeout as sleep } from 'node:timers/promises';
import { type ApiTarget, callApi } from '#adapters/http/call-api.ts';
import { type SharedProxyConfig, sharedProxySchema } from '#domain/config/proxy-config.ts';

const EVERY_MS = 1000;
const ANSWER_MS = 2000;

export interface FollowSharedConfigOptions {
  /** The agents, those that are most likely to answer first. */
  readonly targets: () => readonly ApiTarget[];
  /** Hears of every change. When it throws, what was said is refused, and told once. */
  readonly onChange: (shared: SharedProxyConfig) => void;
  readonly onRefused: (why: string) => void;
  readonly signal: AbortSignal;
  /** Default 1000. */
  readonly everyMs?: number;
}

/**
 * Asks an agent every second what the configuration of the cluster says of its proxies. While none answers, what was last heard stays in
 * force. Never rejects.
 */
export async function followSharedConfig(options: FollowSharedConfigOptions): Promise<void> {
  const { signal, onChange, onRefused, everyMs = EVERY_MS } = options;
  let seen = '{}';
  while (!signal.aborted) {
    const said = await ask(options);
    const text = JSON.stringify(said);
    if (said !== undefined && text !== seen && !signal.aborted) {
      seen = text;
      try {
        // Of a newer release it may hold what this one does not know: then the proxy goes on with what it has, and says so.
        onChange(sharedProxySchema.parse(said));
      } catch (error) {
        onRefused((error as Error).message);
      }
    }
    await sleep(everyMs, undefined, { signal, ref: false }).catch(() => {});
  }
}

async function ask({ targets, signal }: FollowSharedConfigOptions): Promise<unknown> {
  for (const target of targets()) {
    try {
      const { json } = await callApi(target, 'GET', '/config', { timeoutMs: ANSWER_MS, signal });
      return (json as { config?: { proxy?: unknown } } | null)?.config?.proxy ?? {};
    } catch {
      // The next one may answer; if none does, in a second.
    }
  }
  return undefined;
}
