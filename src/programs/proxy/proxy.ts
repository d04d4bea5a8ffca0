import type { ProxyConfig } from '#domain/config/proxy-config.ts';
import { fail } from '#domain/errors.ts';
import type { Roles } from '#domain/ports/roles.ts';
import type { Topology } from '#domain/ports/topology.ts';
import type { ProxyStats } from './proxy-stats.ts';

export interface ServerTls {
  readonly ca?: string;
  readonly certificate?: string;
  readonly key?: string;
}

export interface ClientTls {
  readonly certificate: string;
  readonly key: string;
  readonly clientCa?: string;
}

export interface ProxyLog {
  info(entry: object, text: string): void;
  warn(entry: object, text: string): void;
  error(entry: object, text: string): void;
  debug(entry: object, text: string): void;
}

export interface ProxyOptions {
  readonly config: ProxyConfig;
  readonly topology: Topology;
  readonly roles: Roles;
  readonly serverTls: () => ServerTls | null;
  readonly clientTls: () => ClientTls | null;
  readonly log: ProxyLog;
}

export interface Proxy {
  readonly port: number;
  start(): Promise<void>;
  reload(config: ProxyConfig): void;
  stats(): ProxyStats;
  drain(): Promise<void>;
  stop(): Promise<void>;
}

export function createProxy(_options: ProxyOptions): Proxy {
  return fail('internal.bug', 'the data path is not there yet');
}
