import { createServer, type Server } from 'node:https';
import { summarize } from '#adapters/tls/check-identity.ts';
import { POD } from '#domain/kubernetes/pod-layout.ts';

interface MountedFiles {
  readonly ca: string;
  readonly certificate: string;
  readonly key: string;
}

/** Answers in a pod's place what an operator asks an agent about itself, to whoever shows a certificate that the files trust. */
export class StandingInAgent {
  readonly #server: Server;
  #files: MountedFiles;

  private constructor(name: string, files: MountedFiles) {
    this.#files = files;
    this.#server = createServer({ ...contextOf(files), requestCert: true, rejectUnauthorized: true }, ({ url }, response) => {
      const self = { name, role: 'primary', state: 'primary', incarnation: `${name}_1`, tls: summarize(this.#files) };
      const body = url === '/status' ? { self, followers: [] } : {};
      response.writeHead(url === '/status' ? 200 : 404, { 'content-type': 'application/json' }).end(JSON.stringify(body));
    });
  }

  /** At an address of the loopback of its own, since agents have one port. */
  static async start(name: string, host: string, files: MountedFiles): Promise<StandingInAgent> {
    const agent = new StandingInAgent(name, files);
    await new Promise<void>((resolve, reject) => agent.#server.once('error', reject).listen(POD.apiPort, host, resolve));
    return agent;
  }

  use(files: MountedFiles): void {
    this.#files = files;
    this.#server.setSecureContext(contextOf(files));
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

function contextOf({ ca, certificate, key }: MountedFiles) {
  return { ca, cert: certificate, key };
}
