import process from 'node:process';
import { parseArguments } from '../command-line/arguments.ts';
import { bashScript } from '../completion/bash.ts';
import { fishScript } from '../completion/fish.ts';
import type { Shell } from '../completion/help-options.ts';
import { SHELLS } from '../completion/help-options.ts';
import { zshScript } from '../completion/zsh.ts';
import { UsageError } from '../command-line/usage-error.ts';
import type { Command } from '../command-line/command.ts';

const HELP = `soapstone completion bash|zsh|fish: prints what completes soapstone's commands, options and values in a shell

Where to put it for every shell to come is in its first lines.

example: source <(soapstone completion bash)
         soapstone completion zsh > ~/.zfunc/_soapstone
         soapstone completion fish > ~/.config/fish/completions/soapstone.fish
`;

const SCRIPTS: Readonly<Record<Shell, (commands: readonly Command[]) => string>> = {
  bash: bashScript,
  zsh: zshScript,
  fish: fishScript,
};

/** @param commands all of them, itself too */
export function completionCommand(commands: () => readonly Command[]): Command {
  return {
    name: 'completion',
    summary: 'print what completes commands and options in a shell',
    help: HELP,
    run(args) {
      const { positionals } = parseArguments(args, {}, 'completion');
      const shell = SHELLS.find((each) => each === positionals[0]);
      if (shell === undefined || positionals.length > 1)
        throw new UsageError(`completion has '${positionals.join(' ')}'; expected one of ${SHELLS.join(', ')}`);
      process.stdout.write(SCRIPTS[shell](commands()));
      return Promise.resolve(0);
    },
  };
}
