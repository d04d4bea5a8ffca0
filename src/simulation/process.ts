/** A process of a member: its agent, its guard, its server. A paused one (SIGSTOP) finds everything it missed when it goes on. */
export class Process {
  readonly name: string;
  alive = true;
  paused = false;
  readonly deferred: (() => void)[] = [];

  constructor(name: string) {
    this.name = name;
  }

  get runs(): boolean {
    return this.alive && !this.paused;
  }

  kill(): void {
    this.alive = false;
    this.deferred.length = 0;
  }
}
