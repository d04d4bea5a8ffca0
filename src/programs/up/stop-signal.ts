/** One Ctrl-C may arrive twice: from the terminal, and passed on by npm. */
const SAME_PRESS_MS = 1000;

/**
 * Aborts at the first SIGINT, SIGTERM or SIGHUP (the terminal was closed). A second Ctrl-C leaves at once: the agents go on ending
 * what was begun.
 */
export function stopSignal(): AbortSignal {
  const controller = new AbortController();
  let firstAt = Infinity;
  for (const signal of ['SIGTERM', 'SIGHUP'] as const) process.on(signal, () => controller.abort());
  process.on('SIGINT', () => {
    const now = performance.now();
    if (now - firstAt > SAME_PRESS_MS) process.exit(130);
    firstAt = Math.min(firstAt, now);
    controller.abort();
  });
  return controller.signal;
}
