import { KubeFailure } from './failures.ts';
import type { KubeClient } from './kube-client.ts';

/** What the API server serves, which differs between versions of Kubernetes and by what is installed. */
export class Discovery {
  readonly #client: KubeClient;

  constructor(client: KubeClient) {
    this.#client = client;
  }

  /** The first of the versions, such as `policy/v1`, in which the server serves that resource; undefined: in none. */
  async firstServed<Version extends string>(versions: readonly Version[], plural: string): Promise<Version | undefined> {
    for (const version of versions) if (await this.serves(version, plural)) return version;
    return undefined;
  }

  async serves(version: string, plural: string): Promise<boolean> {
    try {
      const path = version.includes('/') ? `/apis/${version}` : `/api/${version}`;
      const { resources } = (await this.#client.read(path)) as { resources?: unknown };
      return Array.isArray(resources) && resources.some((resource: { name?: unknown } | null) => resource?.name === plural);
    } catch (error) {
      if (error instanceof KubeFailure && error.code === 'kubernetes.notFound') return false;
      throw error;
    }
  }
}
