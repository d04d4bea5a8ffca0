import { createServer, type Server, type ServerResponse } from 'node:http';

export type Rubbish = 'html' | 'truncated' | 'empty object' | 'endless' | 'nothing' | 'another API';

/** Something that is no etcd answers on its port. */
export class RubbishServer {
  /** Bytes that a reader took before it had enough, at most. */
  largest = 0;
  readonly #server: Server;

  private constructor(kind: Rubbish) {
    this.#server = createServer((request, response) => {
      request.resume();
      this.#answer(kind, response);
    });
  }

  static async start(kind: Rubbish): Promise<RubbishServer> {
    const server = new RubbishServer(kind);
    await new Promise<void>((resolve) => server.#server.listen(0, '127.0.0.1', resolve));
    return server;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as { port: number }).port}`;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #answer(kind: Rubbish, response: ServerResponse): void {
    switch (kind) {
      case 'html':
        return void response.end('<html><body>It works!</body></html>');
      case 'truncated':
        return void response.end('{"header":{"cluster_id":"1","member_id":"2","revi');
      case 'empty object':
        return void response.end('{}');
      case 'another API':
        return void response.writeHead(404).end('404 page not found');
      case 'nothing':
        return;
      case 'endless':
        return this.#pour(response);
    }
  }

  #pour(response: ServerResponse, before = 0): void {
    let taken = before;
    const chunk = Buffer.alloc(65_536, ' ');
    while (!response.destroyed) {
      taken += chunk.length;
      this.largest = Math.max(this.largest, taken);
      if (!response.write(chunk)) return void response.once('drain', () => this.#pour(response, taken));
    }
  }
}
