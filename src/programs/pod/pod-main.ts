// The container of a member: `matriarch agent --pod`.

import { POD } from '#domain/kubernetes/pod-layout.ts';
import { reportError } from '#programs/cli/report-error.ts';
import { MemberPod } from './member-pod.ts';
import { readPodEnvironment } from './pod-environment.ts';
import { podPaths } from './pod-paths.ts';

const DEFAULT_POSTGRES_BIN = '/usr/lib/postgresql/17/bin';

try {
  const environment = readPodEnvironment(process.env);
  const pod = new MemberPod({
    environment,
    paths: podPaths(),
    postgresBin: process.env.MATRIARCH_POSTGRES_BIN ?? DEFAULT_POSTGRES_BIN,
    healthPort: POD.healthPort,
    log: (level, text) =>
      process.stdout.write(
        `${JSON.stringify({ level, time: new Date().toISOString(), member: environment.name, part: 'pod', msg: text })}\n`,
      ),
  });
  const ending = Promise.withResolvers<void>();
  process.once('SIGTERM', () => void pod.end().then(ending.resolve, ending.reject));
  process.once('SIGINT', () => void pod.end().then(ending.resolve, ending.reject));
  await Promise.race([ending.promise, pod.run().then(() => ending.promise)]);
  process.exit(0);
} catch (error) {
  process.exit(reportError(error));
}
