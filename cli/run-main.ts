import process from 'node:process';
import type { Command } from './commands/command.ts';
import { UsageError } from './usage-error.ts';

/** Exit codes: the work was done; bad input or a fault. A command may also answer no, by 1. */
const [DONE, FAULT] = [0, 2];

/** Runs the subcommand that this process was called with, and sets its exit code. Errors are told as one line. */
export function runMain(program: string, commands: readonly Command[], help: () => string): void {
  dispatch(process.argv.slice(2), commands, help).then(
    (code) => {
      process.exitCode = code;
    },
    (error: unknown) => {
      const message = error instanceof Error ? error.message : String(error);
      process.stderr.write(`${program}: ${message}\n`);
      if (process.env['SOAPSTONE_DEBUG'] !== undefined && error instanceof Error)
        process.stderr.write(`${error.stack}\n`);
      process.exitCode = FAULT;
    },
  );
}

async function dispatch(args: readonly string[], commands: readonly Command[], help: () => string): Promise<number> {
  const [name, ...rest] = args;
  if (name === undefined || name === '--help' || name === '-h' || name === 'help') {
    process.stdout.write(help());
    return name === undefined ? FAULT : DONE;
  }
  const command = commands.find((candidate) => candidate.name === name);
  if (command === undefined) {
    throw new UsageError(`there is no command '${name}'; expected ${commands.map((each) => each.name).join(', ')}`);
  }
  if (rest.includes('--help') || rest.includes('-h')) {
    process.stdout.write(command.help);
    return DONE;
  }
  return command.run(rest);
}
