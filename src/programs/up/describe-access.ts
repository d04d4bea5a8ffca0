import type { StatusDocument } from '#domain/status-document.ts';
import { clusterFolder, type FolderCluster } from '#programs/cli/cluster-folder.ts';

/** How to reach a running cluster and what to try first. */
export function describeAccess(cluster: FolderCluster, { connection }: StatusDocument): string {
  const where = cluster.paths.dir === clusterFolder(undefined) ? '' : ` --dir ${cluster.paths.dir}`;
  return [
    `read and write  ${connection.readWrite ?? '(not readable)'}`,
    `read only       ${connection.readOnly ?? '(not readable)'}`,
    '',
    `npx matriarch psql${where}          a session on whoever leads`,
    `npx matriarch switchover${where}    hand the lead over`,
    `npx matriarch explain${where}       why everybody is what it is`,
    `npx matriarch down${where}          end it (Ctrl-C too, in the foreground)`,
  ].join('\n');
}
