import { testImage } from './image.ts';
import type { KubeCluster } from './kube-cluster.ts';

const NAME = 'node-shell';

/** A privileged pod on the node, for faults that nobody can bring about from inside of a member's pod. */
export class NodeShell {
  readonly #cluster: KubeCluster;

  private constructor(cluster: KubeCluster) {
    this.#cluster = cluster;
  }

  static async open(cluster: KubeCluster): Promise<NodeShell> {
    const pod = {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: NAME },
      spec: {
        hostPID: true,
        hostNetwork: true,
        terminationGracePeriodSeconds: 0,
        automountServiceAccountToken: false,
        containers: [
          {
            name: 'shell',
            image: testImage(),
            imagePullPolicy: 'IfNotPresent',
            command: ['sleep', 'infinity'],
            securityContext: { privileged: true, runAsUser: 0 },
            volumeMounts: [{ name: 'host', mountPath: '/host' }],
          },
        ],
        volumes: [{ name: 'host', hostPath: { path: '/' } }],
      },
    };
    await cluster.apply(pod);
    await cluster.kubectl('wait', '--for=condition=Ready', `pod/${NAME}`, '--timeout=120s');
    return new NodeShell(cluster);
  }

  /** Every process of the containers of a pod. A signal from inside would not reach its process 1. */
  async signal(pod: string, signal: 'STOP' | 'CONT' | 'KILL'): Promise<void> {
    const { status } = await this.#cluster.get(`pod/${pod}`);
    // The cgroup of a container bears its id, wherever the kubelet and its runtime put it.
    const ids = status.containerStatuses.map(({ containerID }: { containerID: string }) => containerID.split('://').at(-1));
    await this.#run(`
      found=$(grep -lE '${ids.join('|')}' /proc/[0-9]*/cgroup 2>/dev/null | cut -d/ -f3)
      [ -n "$found" ] && kill -${signal} $found`);
  }

  /** Nothing from the members of the cluster reaches the API server for so long, and nobody is told. Resolves afterwards. */
  async silenceApiServer(seconds: number): Promise<void> {
    const [endpoints, pods] = await Promise.all([
      this.#cluster.get('endpoints', 'kubernetes', '--namespace=default'),
      this.#cluster.pods(),
    ]);
    const [{ addresses, ports }] = endpoints.subsets;
    const chains = ['INPUT', 'FORWARD'];
    const rules = pods.flatMap(({ status }) =>
      addresses.flatMap(({ ip }: { ip: string }) =>
        chains.map((chain) => `${chain} -s ${status.podIP} -d ${ip} -p tcp --dport ${ports[0].port} -j DROP`),
      ),
    );
    const all = (verb: string) => rules.map((rule) => `chroot /host iptables -w -${verb} ${rule}`).join('; ');
    await this.#run(
      `undo() { ${all('D')}; }; trap undo EXIT; trap 'exit 1' TERM INT; ${all('I')}; sleep ${seconds} & wait`,
      seconds,
    );
  }

  async #run(script: string, seconds = 0): Promise<void> {
    await this.#cluster.kubectlFor(60_000 + seconds * 1000, 'exec', NAME, '--', 'bash', '-c', script);
  }
}
