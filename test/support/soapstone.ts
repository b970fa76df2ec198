import { execFile } from 'node:child_process';
import process from 'node:process';

/** The command's main program. */
export const SOAPSTONE: string = new URL('../../cli/main.ts', import.meta.url).pathname;

/** How a command ended. */
export interface Outcome {
  /** Its exit code; -1 where it was killed. */
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the soapstone command in a process of its own, for a minute at most. */
export function soapstone(...args: string[]): Promise<Outcome> {
  return new Promise((resolve) => {
    execFile(process.execPath, [SOAPSTONE, ...args], { timeout: 60_000 }, (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === 'number' ? error.code : -1;
      resolve({ code, stdout, stderr });
    });
  });
}
