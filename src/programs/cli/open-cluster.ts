import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { DEFAULT_CONFIG_FILE } from '#domain/config/cluster-paths.ts';
import type { Cluster } from './cluster.ts';
import { clusterFolder, isClusterFolder, openFolder } from './cluster-folder.ts';
import { openMember } from './member-cluster.ts';

/** What a command line says about the cluster that it means. */
export interface Where {
  /** The folder of a cluster of `matriarch up`. */
  readonly dir?: string;
  /** The configuration of the member on this machine. */
  readonly config?: string;
}

/**
 * The folder or the member that was named; else the default folder if it holds a cluster, else the member of this machine. Errors:
 * `cluster.notFound`, `cluster.malformed`, `config.…`.
 */
export async function openCluster({ dir, config }: Where): Promise<Cluster> {
  if (dir !== undefined) return openFolder(dir);
  if (config !== undefined) return openMember(resolve(config));
  if (!isClusterFolder(clusterFolder(undefined)) && existsSync(DEFAULT_CONFIG_FILE)) return openMember(DEFAULT_CONFIG_FILE);
  return openFolder(undefined, `, and there is no ${DEFAULT_CONFIG_FILE}`);
}
