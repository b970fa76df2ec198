/**
 * Takes the place of npx for commands of the documentation: `npx soapstone ...` with less work to do, and nothing else. A reader's
 * 30 s of search are 0.3 s here, 1,000 steps 10, so that every command of every page can be run on each change.
 */
import { spawnSync } from 'node:child_process';
import process from 'node:process';
import { SOAPSTONE } from '../support/soapstone.ts';

/** Of options that say how much work there is: what a test does in place of it, and without it. */
interface Limit {
  readonly option: string;
  readonly most: (asked: number) => number;
  readonly unasked?: number;
}

const seconds: Limit = { option: '--seconds', most: (asked) => Math.min(asked, 0.3) };
const proposals: Limit = { option: '--proposals', most: (asked) => Math.min(asked, 20) };
const LIMITS: Readonly<Record<string, readonly Limit[]>> = {
  plan: [{ ...seconds, unasked: 0.3 }, proposals],
  explain: [{ ...seconds, unasked: 0.3 }, proposals],
  profile: [{ ...seconds, unasked: 0.3 }],
  run: [{ option: '--steps', most: (asked) => Math.ceil(asked / 100), unasked: 20 }],
  check: [{ option: '--strategies', most: (asked) => Math.min(asked, 2), unasked: 2 }],
};

/** Measuring messages and whole iterations takes minutes on a busy machine, and test/profile does it. */
const ADDED: Readonly<Record<string, readonly string[]>> = { profile: ['--kernels'] };

function limited([command = '', ...rest]: readonly string[]): string[] {
  const args = [command, ...rest];
  if (args.includes('--help')) return args;
  args.push(...(ADDED[command] ?? []));
  for (const { option, most, unasked } of LIMITS[command] ?? []) {
    const at = args.indexOf(option);
    if (at >= 0) args[at + 1] = String(most(Number(args[at + 1])));
    else if (unasked !== undefined) args.push(option, String(unasked));
  }
  return args;
}

const [name, ...args] = process.argv.slice(2);
if (name !== 'soapstone') throw new Error(`a page says 'npx ${name}'; expected npx soapstone`);
process.exitCode = spawnSync(process.execPath, [SOAPSTONE, ...limited(args)], { stdio: 'inherit' }).status ?? 1;
