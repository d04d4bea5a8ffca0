import { randomBytes } from 'node:crypto';
import type { Secrets } from '#domain/config/cluster-description.ts';

/** 192 bits each, in letters that need no quoting in a URL, a password file or a shell. */
export function drawSecrets(): Secrets {
  const password = () => randomBytes(24).toString('base64url');
  return {
    version: 1,
    superuser: { name: 'postgres', password: password() },
    agent: { name: 'matriarch', password: password() },
    replication: { name: 'matriarch_replication', password: password() },
  };
}
