import type { Command } from '../command-line/command.ts';
import type { HelpOption } from './help-options.ts';
import { argumentsOf, helpOptions, wordsOf } from './help-options.ts';

/** What is completed for fish; names of files are, wherever words are not all there is. */
export function fishScript(commands: readonly Command[]): string {
  return `# Completion of soapstone for fish. To have it in every shell: soapstone completion fish > ~/.config/fish/completions/soapstone.fish
${[...commands.map(commandLine), ...commands.flatMap(optionLines)].join('\n')}
`;
}

function commandLine({ name, summary }: Command): string {
  return `complete -c soapstone -f -n __fish_use_subcommand -a ${name} -d ${quoted(summary)}`;
}

function optionLines(command: Command): string[] {
  const when = `complete -c soapstone -n ${quoted(`__fish_seen_subcommand_from ${command.name}`)}`;
  const words = argumentsOf(command);
  return [
    ...helpOptions(command).map((option) => `${when} ${optionFlags(option)}`),
    `${when} -l help -d ${quoted('tell more')}`,
    ...(words.length > 0 ? [`${when} -a ${quoted(words.join(' '))}`] : []),
  ];
}

function optionFlags(option: HelpOption): string {
  const words = wordsOf(option);
  const value = option.value === undefined ? '' : ' -r';
  const choices = words.length > 0 ? ` -a ${quoted(words.join(' '))}` : '';
  return `-l ${option.name}${value}${choices} -d ${quoted(option.description)}`;
}

/** In single quotes, as fish reads them. */
function quoted(text: string): string {
  return `'${text.replaceAll(/[\\']/g, String.raw`\$&`)}'`;
}
