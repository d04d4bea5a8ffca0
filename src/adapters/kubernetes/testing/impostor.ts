import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, request as httpsRequest } from 'node:https';
import type { AddressInfo } from 'node:net';

export interface Impostor {
  readonly url: string;
  close(): Promise<void>;
}

/** Where it stands in for the server `url`, and with which certificate. */
export interface ImpostorPlace {
  readonly url: string;
  readonly certificate: string;
  readonly key: string;
}

/** Something else in the place of an API server; `forward` lets the real one answer. */
export async function startImpostor(
  place: ImpostorPlace,
  answer: (request: IncomingMessage, response: ServerResponse, forward: () => void) => void,
): Promise<Impostor> {
  const server = createServer({ cert: place.certificate, key: place.key }, (request, response) => {
    answer(request, response, () => forward(place.url, request, response));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `https://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function forward(url: string, request: IncomingMessage, response: ServerResponse): void {
  const { method, headers } = request;
  const options = { method, headers: { ...headers, host: new URL(url).host }, rejectUnauthorized: false };
  const far = httpsRequest(new URL(request.url ?? '/', url), options, (answer) => {
    response.writeHead(answer.statusCode ?? 502, answer.headers);
    answer.pipe(response);
  });
  far.on('error', () => response.destroy());
  response.on('close', () => far.destroy());
  request.pipe(far);
}
