import { z } from 'zod';

// Lines of pg_hba.conf as people may add them: no more than every release and every build of PostgreSQL reads for sure. One line that it
// cannot read, and it goes on by the file of before, or does not start at all.

const NAME = /^[A-Za-z0-9_.$-]{1,63}$/;
const HOST_NAME = /^\.?[a-z0-9]([a-z0-9.-]{0,252}[a-z0-9])?$/i;
const TYPES = ['local', 'host', 'hostssl', 'hostnossl'] as const;
const METHODS = ['scram-sha-256', 'reject', 'cert'] as const;

/** What is wrong with the line; undefined: nothing. */
export function accessLineProblem(line: string): string | undefined {
  const [type = '', databases = '', users = '', ...rest] = line.trim().split(/[ \t]+/);
  if (!TYPES.some((one) => one === type)) return `must begin with ${TYPES.join(', ')}`;
  const badDatabase = databases.split(',').find((one) => !NAME.test(one) || one === 'replication');
  // Whoever streams under the name of a member would be waited for in its place.
  if (badDatabase === 'replication') return 'must not name `replication`: none but the members stream';
  if (badDatabase !== undefined) return `has no list of databases in the second place: ${JSON.stringify(badDatabase)}`;
  const badUser = users.split(',').find((one) => !NAME.test(one.replace(/^\+/, '')));
  if (badUser !== undefined) return `has no list of roles in the third place: ${JSON.stringify(badUser)}`;
  const [address, method = '', ...options] = type === 'local' ? [undefined, ...rest] : rest;
  if (address !== undefined && !isAddress(address))
    return `has no address in the fourth place, such as 10.0.0.0/8 or all: ${JSON.stringify(address)}`;
  if (!METHODS.some((one) => one === method)) return `must end with ${METHODS.join(', ')}`;
  if (method === 'cert' && type !== 'hostssl') return 'takes `hostssl` for `cert`';
  return options.length === 0 ? undefined : `has too much at its end: ${JSON.stringify(options.join(' '))}`;
}

function isAddress(text: string): boolean {
  if (['all', 'samehost', 'samenet'].includes(text)) return true;
  const isBlock = [z.cidrv4(), z.cidrv6()].some((block) => block.safeParse(text).success);
  return isBlock || (HOST_NAME.test(text) && !/^[\d.]+$/.test(text));
}
