import type { Command } from '../command-line/command.ts';
import type { HelpOption } from './help-options.ts';
import { argumentsOf, helpOptions, wordsOf } from './help-options.ts';

/** The function of zsh that completes names of files. */
const FILES = '_files';

/** What is completed for zsh; works as a file of \`fpath\`, and where it is sourced. */
export function zshScript(commands: readonly Command[]): string {
  const names = commands.map(({ name, summary }) => `    ${quoted(`${name}:${summary}`)}`).join('\n');
  return `#compdef soapstone
# Completion of soapstone for zsh. To have it in every shell: soapstone completion zsh > "\${fpath[1]}/_soapstone"
_soapstone_words() { compadd "$@"; _files; }
_soapstone() {
  local -a commands
  commands=(
${names}
  )
  if (( CURRENT == 2 )); then
    _describe command commands
    return
  fi
  local command=$words[2]
  words=("\${(@)words[2,-1]}")
  (( CURRENT-- ))
  case $command in
${commands.map(commandCase).join('\n')}
  esac
}
if [ "\${funcstack[1]}" = _soapstone ]; then _soapstone "$@"; else compdef _soapstone soapstone; fi
`;
}

function commandCase(command: Command): string {
  const rest = quoted(`*:file:${actionOf(argumentsOf(command))}`);
  const specs = [...helpOptions(command).map(optionSpec), quoted('--help[tell more]'), rest];
  return `  ${command.name})\n    _arguments \\\n      ${specs.join(' \\\n      ')}\n    ;;`;
}

function optionSpec(option: HelpOption): string {
  const about = `[${option.description.replaceAll(/[[\]]/g, String.raw`\$&`)}]`;
  if (option.value === undefined) return quoted(`--${option.name}${about}`);
  const repeated = option.value === 'KEY=VALUE' ? '*' : '';
  return quoted(`${repeated}--${option.name}${about}:${option.value}:${actionOf(wordsOf(option))}`);
}

/** What zsh is to offer: words and files, or files alone. */
function actionOf(words: readonly string[]): string {
  return words.length > 0 ? `_soapstone_words ${words.join(' ')}` : FILES;
}

/** In single quotes, as the shell reads them. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`;
}
