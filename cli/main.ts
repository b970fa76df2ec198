#!/usr/bin/env node
import process from 'node:process';
import { COMMANDS, helpText } from './commands/index.ts';
import { UsageError } from './usage-error.ts';

/** Exit codes: the work was done; the answer is no; bad input or a fault. */
const [DONE, FAULT] = [0, 2];

async function main(args: readonly string[]): Promise<number> {
  const [name, ...rest] = args;
  if (name === undefined || name === '--help' || name === '-h' || name === 'help') {
    process.stdout.write(helpText());
    return name === undefined ? FAULT : DONE;
  }
  const command = COMMANDS.find((candidate) => candidate.name === name);
  if (command === undefined) {
    throw new UsageError(`there is no command '${name}'; expected ${COMMANDS.map((each) => each.name).join(', ')}`);
  }
  if (rest.includes('--help') || rest.includes('-h')) {
    process.stdout.write(command.help);
    return DONE;
  }
  return command.run(rest);
}

main(process.argv.slice(2)).then(
  (code) => {
    process.exitCode = code;
  },
  (error: unknown) => {
    const message = error instanceof Error ? error.message : String(error);
    process.stderr.write(`soapstone: ${message}\n`);
    if (process.env['SOAPSTONE_DEBUG'] !== undefined && error instanceof Error)
      process.stderr.write(`${error.stack}\n`);
    process.exitCode = FAULT;
  },
);
