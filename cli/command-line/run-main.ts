import { readFile } from 'node:fs/promises';
import process from 'node:process';
import { nearest } from '../../soap/schema/nearest.ts';
import type { Command } from './command.ts';
import { oneLine } from '../terminal/printable.ts';
import { UsageError } from './usage-error.ts';
import { messageOf } from '../../soap/message-of.ts';

/** Exit codes: the work was done; bad input or a fault. A command may also answer no, by 1. */
const [DONE, FAULT] = [0, 2];

/** 128 and the number of SIGPIPE, as shells say of a program that wrote for nobody. */
const NO_READER = 141;

/** Runs the subcommand that this process was called with, and sets its exit code. */
export function runMain(program: string, commands: readonly Command[], help: () => string): void {
  const output = watchOutput(program, commands.find(({ name }) => name === process.argv[2])?.outlivesReader === true);
  void runProgram(program, process.argv.slice(2), commands, help).then((code) => {
    process.exitCode = output.isLost ? FAULT : code;
  });
}

/**
 * Lets a program whose reader has gone, such as `head` or a pager, end without a word, or go on; one whose output cannot be written, as
 * to a full disk, ends with a sentence, or goes on and has failed in the end.
 */
function watchOutput(program: string, goesOn: boolean): { readonly isLost: boolean } {
  const output = { isLost: false };
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EPIPE') {
        if (!goesOn) process.exit(NO_READER);
        return;
      }
      if (!output.isLost && stream === process.stdout)
        process.stderr.write(
          `${program}: cannot write to standard output: ${error.message}; see that there is room where it goes\n`,
        );
      output.isLost = true;
      if (!goesOn) process.exit(FAULT);
    });
  }
  return output;
}

/** Runs the subcommand that `args` begin with. Errors are told as one line. @returns the exit code */
export async function runProgram(
  program: string,
  args: readonly string[],
  commands: readonly Command[],
  help: () => string,
): Promise<number> {
  try {
    return await dispatch(program, args, commands, help);
  } catch (error) {
    const message = messageOf(error);
    process.stderr.write(`${program}: ${message.split('\n').map(oneLine).join('\n')}\n`);
    if (process.env['SOAPSTONE_DEBUG'] !== undefined && error instanceof Error)
      process.stderr.write(`${error.stack}\n`);
    return FAULT;
  }
}

async function dispatch(
  program: string,
  args: readonly string[],
  commands: readonly Command[],
  help: () => string,
): Promise<number> {
  const [name, ...rest] = args;
  if (name === undefined || name === '--help' || name === '-h' || name === 'help') {
    process.stdout.write(help());
    return name === undefined ? FAULT : DONE;
  }
  if (name === '--version' || name === '-V') {
    process.stdout.write(`${program} ${await packageVersion()}\n`);
    return DONE;
  }
  const command = commands.find((candidate) => candidate.name === name);
  if (command === undefined) {
    const names = commands.map((each) => each.name);
    const guess = nearest(name, names);
    const cure = guess === undefined ? '' : `: did you mean ${guess}?`;
    throw new UsageError(`there is no command '${name}'; expected ${names.join(', ')}${cure}`);
  }
  if (rest.includes('--help') || rest.includes('-h')) {
    process.stdout.write(command.help);
    return DONE;
  }
  return command.run(rest);
}

async function packageVersion(): Promise<string> {
  const { version }: { version: string } = JSON.parse(
    await readFile(new URL('../../package.json', import.meta.url), 'utf8'),
  );
  return version;
}
