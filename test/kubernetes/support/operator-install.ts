import { readFile } from 'node:fs/promises';
import { OPERATOR } from '#domain/kubernetes/operator-layout.ts';
import { testImage } from './image.ts';
import { kubectl } from './kubectl.ts';

const MANIFEST = new URL('../../../deploy/manifests/operator.yaml', import.meta.url);
const DEPLOYMENT = `deployment/${OPERATOR.name}`;

const inItsNamespace = (...args: readonly string[]) =>
  kubectl(['--namespace', OPERATOR.namespace, ...args], { timeoutMs: 150_000 });

/** As a person installs it. What it has installed stays: clusters of others may be by it. */
export async function installOperator(image = testImage()): Promise<void> {
  const manifest = (await readFile(MANIFEST, 'utf8')).replaceAll('localhost/matriarch:dev', image);
  await kubectl(['apply', '-f', '-'], { input: manifest });
  // The image may be another one by the same name.
  await inItsNamespace('delete', 'pods', '--all', '--wait=false');
  await scaleOperator(1);
}

/** Resolves when so many work, and when none does any more. */
export async function scaleOperator(replicas: 0 | 1): Promise<void> {
  await inItsNamespace('scale', DEPLOYMENT, `--replicas=${replicas}`);
  if (replicas === 0) await inItsNamespace('wait', '--for=delete', 'pods', '--all', '--timeout=120s');
  else await inItsNamespace('rollout', 'status', DEPLOYMENT, '--timeout=120s');
}

export function operatorLog(): Promise<string> {
  return inItsNamespace('logs', DEPLOYMENT, '--tail=100');
}
