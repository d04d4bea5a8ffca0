import { execFileSync } from 'node:child_process';
import { randomInt } from 'node:crypto';

export type Direction = 'both' | 'in' | 'out';

/** The hosts of a test: a network namespace each, with an address of its own, all on one switch, which the test is on as well. */
export class TestNetwork {
  readonly #id: string;
  readonly #hosts: readonly string[];
  readonly #subnet: string;

  private constructor(id: string, hosts: readonly string[]) {
    this.#id = id;
    this.#hosts = hosts;
    this.#subnet = `10.${randomInt(64, 250)}.${randomInt(0, 255)}`;
  }

  /** Throws what to install, or who may, where the machine makes no namespaces. */
  static create(hosts: readonly string[]): TestNetwork {
    const network = new TestNetwork(`mt${randomInt(0x10000, 0xfffff).toString(16)}`, hosts);
    try {
      network.#build();
    } catch (error) {
      network.destroy();
      throw new Error(
        `no network namespaces here (${(error as Error).message.trim()}): these tests take root, iproute2 and iptables`,
      );
    }
    return network;
  }

  #build(): void {
    const switchSpace = `${this.#id}-sw`;
    ip('netns', 'add', switchSpace);
    inSpace(switchSpace, 'ip', 'link', 'add', 'br0', 'type', 'bridge');
    inSpace(switchSpace, 'ip', 'link', 'set', 'br0', 'up');
    for (const host of this.#hosts) {
      const space = this.space(host);
      ip('netns', 'add', space);
      ip('link', 'add', 'eth0', 'netns', space, 'type', 'veth', 'peer', 'name', host, 'netns', switchSpace);
      inSpace(switchSpace, 'ip', 'link', 'set', host, 'master', 'br0', 'up');
      inSpace(space, 'ip', 'addr', 'add', `${this.address(host)}/24`, 'dev', 'eth0');
      for (const device of ['lo', 'eth0']) inSpace(space, 'ip', 'link', 'set', device, 'up');
    }
    ip('link', 'add', this.#id, 'type', 'veth', 'peer', 'name', 'test', 'netns', switchSpace);
    inSpace(switchSpace, 'ip', 'link', 'set', 'test', 'master', 'br0', 'up');
    ip('addr', 'add', `${this.#subnet}.254/24`, 'dev', this.#id);
    ip('link', 'set', this.#id, 'up');
  }

  address(host: string): string {
    return `${this.#subnet}.${this.#hosts.indexOf(host) + 1}`;
  }

  /** Before a command: runs it on that host. The command keeps its pid. */
  prefix(host: string): readonly string[] {
    return ['ip', 'netns', 'exec', this.space(host)];
  }

  /** From now on nothing passes between the host and the others, silently. `direction` is the host's. */
  cut(host: string, from: readonly string[], direction: Direction = 'both'): void {
    for (const other of from) {
      const address = this.address(other);
      if (direction !== 'out') this.#rule(host, '-A', 'INPUT', '-s', address, '-j', 'DROP');
      if (direction !== 'in') this.#rule(host, '-A', 'OUTPUT', '-d', address, '-j', 'DROP');
    }
  }

  /** From everybody, clients and the test among them; the host itself notices nothing of it. */
  cutOff(host: string): void {
    this.#rule(host, '-A', 'INPUT', '!', '-i', 'lo', '-j', 'DROP');
    this.#rule(host, '-A', 'OUTPUT', '!', '-o', 'lo', '-j', 'DROP');
  }

  /** One packet in `1 / probability` that comes to the host is lost. */
  lose(host: string, probability: number): void {
    const random = ['-m', 'statistic', '--mode', 'random', '--probability', String(probability)];
    this.#rule(host, '-A', 'INPUT', '!', '-i', 'lo', ...random, '-j', 'DROP');
  }

  /** What programs of `host` send to an address goes to a port of the host itself, but for those of the user `except`. */
  redirect(host: string, to: { readonly address: string; readonly port: number }, localPort: number, except: number): void {
    const match = ['-p', 'tcp', '-d', to.address, '--dport', String(to.port), '-m', 'owner', '!', '--uid-owner', String(except)];
    this.#rule(host, '-t', 'nat', '-A', 'OUTPUT', ...match, '-j', 'REDIRECT', '--to-ports', String(localPort));
  }

  /** Takes back what was done to the network. */
  heal(hosts: readonly string[] = this.#hosts): void {
    for (const host of hosts) {
      this.#rule(host, '-F');
      this.#rule(host, '-t', 'nat', '-F');
    }
  }

  destroy(): void {
    for (const space of [...this.#hosts.map((host) => this.space(host)), `${this.#id}-sw`]) {
      try {
        ip('netns', 'del', space);
      } catch {
        // It was not made.
      }
    }
    try {
      ip('link', 'del', this.#id);
    } catch {
      // It went with its other end.
    }
  }

  /** The network namespace of a host. */
  space(host: string): string {
    return `${this.#id}-${host}`;
  }

  #rule(host: string, ...args: readonly string[]): void {
    inSpace(this.space(host), 'iptables', '-w', ...args);
  }
}

function inSpace(space: string, program: string, ...args: readonly string[]): void {
  ip('netns', 'exec', space, program, ...args);
}

function ip(...args: readonly string[]): void {
  execFileSync('ip', args, { stdio: ['ignore', 'ignore', 'pipe'] });
}
