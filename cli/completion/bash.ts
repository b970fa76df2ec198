import type { Command } from '../command-line/command.ts';
import { argumentsOf, helpOptions, wordsOf } from './help-options.ts';

/** What is completed for bash; names of files come from `-o default` where nothing else fits. */
export function bashScript(commands: readonly Command[]): string {
  const names = commands.map(({ name }) => name).join(' ');
  return `# Completion of soapstone for bash. To have it in every shell: soapstone completion bash > /etc/bash_completion.d/soapstone
_soapstone() {
  local word=\${COMP_WORDS[COMP_CWORD]} before=\${COMP_WORDS[COMP_CWORD - 1]} words=''
  COMPREPLY=()
  if [ "$COMP_CWORD" = 1 ]; then
    words='${names} --help'
  else
    case "\${COMP_WORDS[1]} $before" in
${commands.flatMap(valueCases).join('\n')}
    *)
      case "\${COMP_WORDS[1]}" in
${commands.map(optionCase).join('\n')}
      esac
      ;;
    esac
  fi
  [ -z "$words" ] || mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
}
complete -o default -F _soapstone soapstone
`;
}

/** After an option with a value: its words, or nothing, so that files are completed. */
function valueCases(command: Command): string[] {
  return helpOptions(command)
    .filter(({ value }) => value !== undefined)
    .map((option) => `    '${command.name} --${option.name}') words='${wordsOf(option).join(' ')}' ;;`);
}

/** Elsewhere: the options where the word begins with a dash, or else what the command is about. */
function optionCase(command: Command): string {
  const options = [...helpOptions(command).map(({ name }) => `--${name}`), '--help'].join(' ');
  const others = argumentsOf(command).join(' ');
  return `      ${command.name}) if [ "\${word:0:1}" = - ]; then words='${options}'; else words='${others}'; fi ;;`;
}
