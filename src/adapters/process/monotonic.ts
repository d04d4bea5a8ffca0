/** CLOCK_MONOTONIC in milliseconds: the same for every process of the machine, unlike performance.now(). */
export function machineMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

/** A time by this process's performance.now() as a time that other processes understand. */
export function toMachineMs(processMs: number): number {
  return processMs - performance.now() + machineMs();
}
