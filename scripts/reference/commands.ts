import type { Argument, Command, Option } from 'commander';
import { buildProgram } from '#programs/cli/program.ts';
import { EXIT_CODE_MEANINGS, EXIT_CODES } from '#programs/cli/report-error.ts';
import { row } from './markdown.ts';

function usage(command: Command, parents: string): string {
  const words = command.registeredArguments.map((argument) => {
    const name = `${argument.name()}${argument.variadic ? '...' : ''}`;
    return argument.required ? `<${name}>` : `[${name}]`;
  });
  return ['matriarch', parents, command.name(), '[options]', ...words].filter((word) => word !== '').join(' ');
}

function describeArgument(argument: Argument): string {
  return row([`\`${argument.name()}\``, argument.description]);
}

function describeOption(option: Option): string {
  const notes = [
    ...(option.argChoices ? [`one of ${option.argChoices.map((choice) => `\`${choice}\``).join(', ')}`] : []),
    ...(option.defaultValue === undefined ? [] : [`default \`${String(option.defaultValue)}\``]),
    ...(option.envVar === undefined ? [] : [`also from the environment: \`${option.envVar}\``]),
  ];
  return row([`\`${option.flags}\``, [option.description, ...notes].join('; ')]);
}

function describeCommand(command: Command, parents = ''): string[] {
  if (command.commands.length > 0) return command.commands.flatMap((child) => describeCommand(child, command.name()));
  const title = parents === '' ? command.name() : `${parents} ${command.name()}`;
  return [
    `## ${title}`,
    '',
    `${command.description()}.`,
    '',
    '```',
    usage(command, parents),
    '```',
    '',
    '| | |',
    '|---|---|',
    ...command.registeredArguments.map(describeArgument),
    ...command.options.map(describeOption),
    '',
  ];
}

/** docs/reference/commands.md */
export function commandsReference(): string {
  const program = buildProgram();
  return [
    '# Commands',
    '',
    'From a checkout: `npx matriarch COMMAND`. Every command takes `--help`.',
    '',
    'Tables and colours are for terminals, and `NO_COLOR` turns the colours off; `-o json` is for programs. What is printed on standard output is the result, everything else goes to standard error.',
    '',
    ...program.commands.flatMap((command) => describeCommand(command)),
    '## Exit codes',
    '',
    '| code | meaning |',
    '|---|---|',
    ...Object.entries(EXIT_CODES).map(([name, code]) => row([String(code), EXIT_CODE_MEANINGS[name as keyof typeof EXIT_CODES]])),
    '',
    '`psql` ends with the exit code of psql itself.',
    '',
  ].join('\n');
}
