import { KubeClient } from '#adapters/kubernetes/kube-client.ts';
import { kubeconfigAccess } from '#adapters/kubernetes/kubeconfig.ts';

let client: Promise<KubeClient> | undefined;

/** What the API server has at a path. For what is asked again and again: a process of kubectl each time would be half of the load. */
export async function read(path: string): Promise<unknown> {
  client ??= kubeconfigAccess().then((access) => new KubeClient(access));
  return (await client).read(path);
}
