import type { ClusterConfig } from '#domain/config/cluster-config.ts';

/** The options of `matriarch up` as the command line gives them; what is missing was not said. */
export interface UpOptions {
  readonly dir?: string;
  readonly name?: string;
  readonly members?: number;
  readonly port?: number;
  readonly postgresBin?: string;
  readonly durability?: ClusterConfig['durability']['mode'];
  /** False: `--no-proxy`. The command line gives true when nothing was said. */
  readonly proxy?: boolean;
  readonly proxyPort?: number;
  readonly detach?: boolean;
}
