import type { IncomingMessage } from 'node:http';
import { fail } from '#domain/errors.ts';

const MAX_BODY_BYTES = 1 << 20;

/** The JSON of a request's body; undefined when it is empty. Errors: `api.tooLarge`, `api.malformed`. */
export async function readBody(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  if (Number(request.headers['content-length'] ?? 0) > MAX_BODY_BYTES) fail('api.tooLarge', 'the body is too large');
  for await (const chunk of request.iterator({ destroyOnReturn: false })) {
    bytes += chunk.length;
    if (bytes > MAX_BODY_BYTES) fail('api.tooLarge', 'the body is too large');
    chunks.push(chunk);
  }
  if (bytes === 0) return undefined;
  try {
    return JSON.parse(Buffer.concat(chunks).toString('utf8'));
  } catch (error) {
    return fail('api.malformed', (error as Error).message);
  }
}
