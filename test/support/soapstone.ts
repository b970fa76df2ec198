import { execFile } from 'node:child_process';
import process from 'node:process';
import { COMMANDS, helpText } from '../../cli/commands/index.ts';
import { runProgram } from '../../cli/command-line/run-main.ts';

/** The command's main program. */
export const SOAPSTONE: string = new URL('../../cli/main.ts', import.meta.url).pathname;

/** How a command ended. */
export interface Outcome {
  /** Its exit code; -1 where it was killed. */
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** The command before, which has the streams of this process until it ends. */
let last: Promise<unknown> = Promise.resolve();

/** Runs the soapstone command in this process, after those that were called before: most tests need no process of their own. */
export function soapstone(...args: string[]): Promise<Outcome> {
  const outcome = last.then(() => runHere(args));
  last = outcome;
  return outcome;
}

async function runHere(args: readonly string[]): Promise<Outcome> {
  const [stdout, stderr] = [keepWritten(process.stdout), keepWritten(process.stderr)];
  try {
    const code = await runProgram('soapstone', args, COMMANDS, helpText);
    return { code, stdout: stdout.text(), stderr: stderr.text() };
  } finally {
    for (const each of [stdout, stderr]) each.release();
  }
}

/** Keeps what is written to a stream in place of passing it on. */
function keepWritten(stream: NodeJS.WriteStream): { text(): string; release(): void } {
  let written = '';
  stream.write = (chunk: Uint8Array | string): boolean => {
    written += typeof chunk === 'string' ? chunk : Buffer.from(chunk).toString();
    return true;
  };
  return { text: () => written, release: () => void Reflect.deleteProperty(stream, 'write') };
}

/** Runs the soapstone command in a process of its own, for a minute at most. */
export function soapstoneProcess(...args: string[]): Promise<Outcome> {
  const options = { timeout: 60_000, maxBuffer: 1 << 28 };
  return new Promise((resolve) => {
    execFile(process.execPath, [SOAPSTONE, ...args], options, (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === 'number' ? error.code : -1;
      resolve({ code, stdout, stderr });
    });
  });
}
