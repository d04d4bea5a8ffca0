import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';

export interface EtcdMemberOptions {
  /** Default: `etcd`, wherever PATH finds it. */
  readonly command?: string;
  readonly name: string;
  readonly dataDir: string;
  readonly clientUrl: string;
  readonly peerUrl: string;
  /** Of the whole cluster, as `--initial-cluster` takes it. */
  readonly initialCluster: string;
  /** The command runs in this network namespace. */
  readonly namespace?: string;
  readonly extraArguments?: readonly string[];
}

const READY = /ready to serve client requests|serving (insecure )?client (traffic|requests)/;
const LOG_KEPT = 20_000;

const living = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of living) child.kill('SIGKILL');
});

/** One process of etcd, by its pid. Its data outlives it. */
export class EtcdMember {
  readonly clientUrl: string;
  readonly #options: EtcdMemberOptions;
  #child: ChildProcess | undefined;
  #log = '';

  constructor(options: EtcdMemberOptions) {
    this.#options = options;
    this.clientUrl = options.clientUrl;
  }

  get pid(): number {
    if (this.#child?.pid === undefined) throw new Error(`etcd ${this.#options.name} does not run`);
    return this.#child.pid;
  }

  /** The end of what it has logged. */
  get log(): string {
    return this.#log;
  }

  /** Resolves when it serves clients, which takes a majority of the cluster. */
  async start(): Promise<void> {
    const [program = '', ...rest] = this.#command();
    const child = spawn(program, rest, {
      stdio: ['ignore', 'pipe', 'pipe'],
      // etcd 3.4 refuses to run there without it.
      env: { ...process.env, ETCD_UNSUPPORTED_ARCH: 'arm64' },
    });
    this.#child = child;
    living.add(child);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    for (const output of [child.stdout, child.stderr]) {
      output.on('data', (chunk: Buffer) => {
        this.#log = (this.#log + chunk.toString('utf8')).slice(-LOG_KEPT);
        if (READY.test(this.#log)) resolve();
      });
    }
    child.on('error', reject);
    child.on('exit', (code, signal) => {
      living.delete(child);
      reject(new Error(`etcd ${this.#options.name} ended with ${code ?? signal} before it was ready:\n${this.#log}`));
    });
    await promise;
  }

  /** Resolves when the process is gone. */
  async kill(signal: 'SIGKILL' | 'SIGTERM' = 'SIGKILL'): Promise<void> {
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, 'exit');
    child.kill(signal);
    // A stopped process hears only SIGKILL.
    child.kill('SIGCONT');
    await exited;
    this.#log = '';
  }

  async restart(signal: 'SIGKILL' | 'SIGTERM' = 'SIGKILL'): Promise<void> {
    await this.kill(signal);
    await this.start();
  }

  /** It answers nobody and its connections stay, as behind a network that swallows everything. */
  async stop(): Promise<void> {
    process.kill(this.pid, 'SIGSTOP');
    // One thread after the other: until the last one is stopped, it may still answer.
    while (!isStopped(this.pid)) await new Promise((resolve) => setTimeout(resolve, 1));
  }

  continue(): void {
    process.kill(this.pid, 'SIGCONT');
  }

  #command(): string[] {
    const { command = 'etcd', name, dataDir, clientUrl, peerUrl, initialCluster, namespace, extraArguments = [] } = this.#options;
    return [
      ...(namespace === undefined ? [] : ['ip', 'netns', 'exec', namespace]),
      command,
      ...['--name', name, '--data-dir', dataDir],
      ...['--listen-client-urls', clientUrl, '--advertise-client-urls', clientUrl],
      ...['--listen-peer-urls', peerUrl, '--initial-advertise-peer-urls', peerUrl],
      ...['--initial-cluster', initialCluster, '--initial-cluster-token', initialCluster],
      ...['--heartbeat-interval', '50', '--election-timeout', '500'],
      ...['--logger', 'zap', '--log-outputs', 'stderr'],
      ...extraArguments,
    ];
  }
}

function isStopped(pid: number): boolean {
  const tasks = `/proc/${pid}/task`;
  return readdirSync(tasks).every((task) => /\) [Tt] /.test(readFileSync(`${tasks}/${task}/stat`, 'utf8')));
}
