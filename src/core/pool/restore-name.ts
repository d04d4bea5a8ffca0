import { asciiLiteral } from '#sql/quote.ts';

/**
 * Connections are opened without any client's application_name, which is set on them: RESET and DISCARD ALL give what the startup of the
 * connection gave, not what that of the client did. Sets the latter again, unless the session has set another one since.
 */
export function restoreName(name: string): string {
  const wanted = asciiLiteral(name);
  return `SELECT pg_catalog.set_config('application_name', ${wanted}, false)
    WHERE pg_catalog.current_setting('application_name') <> ${wanted}
    AND NOT EXISTS (SELECT FROM pg_catalog.pg_settings s WHERE s.name = 'application_name' AND s.source = 'session')`;
}
