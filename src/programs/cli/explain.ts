import type { Explanation } from '#domain/status.ts';
import { askMember } from './ask.ts';
import { type Cluster, memberNamed } from './cluster.ts';
import { openCluster, type Where } from './open-cluster.ts';
import { type Paint, paintFor } from './paint.ts';
import { EXIT_CODES } from './report-error.ts';

/** Decisions of the past that are shown of one member; of all together there would be no room on one screen. */
const RECENT = 8;

type Told = Explanation | { readonly member: string; readonly silent: string };

/** `full`: with the last decisions, for which there is no room when all members are shown. */
export function renderExplanation(told: Told, full: boolean, paint: Paint): string {
  if ('silent' in told) return `${paint('bold', told.member)}  ${paint('red', told.silent)}`;
  const lines = told.lines.flatMap((line) => [
    `  ${line.holds ? paint('green', '✓') : paint('yellow', '✗')} ${line.rule.padEnd(4)} ${line.text}`,
    ...(line.toChange === undefined ? [] : [`         ${paint('dim', '→')} ${line.toChange}`]),
  ]);
  const recent =
    full && told.recent.length > 0
      ? [
          '',
          '  the last decisions',
          ...told.recent.slice(0, RECENT).map(({ at, rule, text }) => `  ${paint('dim', at)} ${rule.padEnd(4)} ${text}`),
        ]
      : [];
  return [`${paint('bold', told.member)}  ${told.summary}`, ...lines, ...recent].join('\n');
}

async function tell(cluster: Cluster, member: string): Promise<Told> {
  try {
    return (await askMember(cluster, member, 'GET', '/explain')) as Explanation;
  } catch (error) {
    return { member, silent: (error as Error).message.replace(`${member}: `, '') };
  }
}

export async function explain(name: string | undefined, options: Where & { readonly output: 'table' | 'json' }): Promise<void> {
  const cluster = await openCluster(options);
  const members = name === undefined ? cluster.members : [memberNamed(cluster, name)];
  const told = await Promise.all(members.map((member) => tell(cluster, member.name)));
  const paint = paintFor(process.stdout);
  const text =
    options.output === 'json'
      ? JSON.stringify(told, null, 2)
      : told.map((one) => renderExplanation(one, name !== undefined, paint)).join('\n\n');
  process.stdout.write(`${text}\n`);
  if (told.every((one) => 'silent' in one)) process.exitCode = EXIT_CODES.notRunning;
}
