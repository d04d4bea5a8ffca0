import { stringify } from 'yaml';
import type { KubeObject } from '#domain/kubernetes/kube-object.ts';

export const NOTICE = '# Generated from the code by `npm run docs`. Changes go there.\n';

export function document(object: KubeObject): string {
  return `---\n${stringify(object, { lineWidth: 0, aliasDuplicateObjects: false })}`;
}
