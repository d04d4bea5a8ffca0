import { EXIT_CODES } from '#programs/cli/report-error.ts';
import { openLog } from './open-log.ts';
import { ProxyProgram } from './proxy-program.ts';
import { type ProxyArguments, ProxySettings } from './proxy-settings.ts';

/**
 * `matriarch proxy`: serves clients until a signal. The first SIGTERM lets transactions end; a second one, or SIGINT, ends at once.
 * SIGHUP reads the files anew. Errors: those of its settings and its start; afterwards it tells its log.
 */
export async function proxy(given: ProxyArguments): Promise<void> {
  const ending = Promise.withResolvers<number>();
  const asked = Promise.withResolvers<void>();
  let terms = 0;
  process.on('SIGTERM', () => {
    terms += 1;
    asked.resolve();
    if (terms > 1) ending.resolve(EXIT_CODES.done);
  });
  process.on('SIGINT', () => ending.resolve(EXIT_CODES.interrupted));

  const settings = new ProxySettings(given);
  const config = settings.read();
  const log = await openLog(config.log);
  process.on('exit', () => log.flush());
  const running = await ProxyProgram.start(settings, config, log);
  process.on('SIGHUP', () => running.reload());

  void asked.promise.then(() => running.drain()).then(() => ending.resolve(EXIT_CODES.done), ending.reject);
  const code = await ending.promise;
  await running.stop();
  log.logger.info({ part: 'proxy' }, 'ended');
  // Whatever is still open has nobody left to serve.
  process.exit(code);
}
