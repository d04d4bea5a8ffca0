import { isIPv6 } from 'node:net';
import type { Machine } from '#domain/config/machines-description.ts';
import { fail } from '#domain/errors.ts';

const RESERVED = ['authority', 'proxy'];
const DEFAULT_PORT = 5432;
/** The API of an agent listens this far above its server. */
const API_OFFSET = 100;

/** Reads `n1=10.0.0.1`, `n1=10.0.0.1:5432`, `n1=10.0.0.1:5432:5532`; an IPv6 address in brackets. Errors: `usage.invalidArgument`. */
export function readMachine(text: string): Machine {
  const match = /^([a-z][a-z0-9-]{0,39})=(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::(\d{1,5}))?(?::(\d{1,5}))?$/.exec(text);
  if (match === null) return fail('usage.invalidArgument', `${text}: a member is NAME=HOST[:PORT[:APIPORT]]`);
  const [, name = '', host = '', port, apiPort] = match;
  if (RESERVED.includes(name))
    fail('usage.invalidArgument', `${name}: beside the folders of the members lies another one of this name`);
  const bare = host.replace(/^\[|\]$/g, '');
  if (host.startsWith('[') && !isIPv6(bare)) fail('usage.invalidArgument', `${text}: ${bare} is no IPv6 address`);
  const chosen = Number(port ?? DEFAULT_PORT);
  const api = Number(apiPort ?? chosen + API_OFFSET);
  for (const one of [chosen, api])
    if (one < 1 || one > 65_535) fail('usage.invalidArgument', `${text}: a port is a number from 1 to 65535`);
  if (chosen === api) fail('usage.invalidArgument', `${text}: PostgreSQL and the agent need a port each`);
  return { name, host: bare, port: chosen, apiPort: api };
}
