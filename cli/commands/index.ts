import { checkCommand } from './check.ts';
import type { Command } from '../command-line/command.ts';
import { completionCommand } from './completion.ts';
import { explainCommand } from './explain.ts';
import { exportCommand } from './export.ts';
import { inspectCommand } from './inspect.ts';
import { measureCommand } from './measure.ts';
import { modelsCommand } from './models.ts';
import { planCommand } from './plan.ts';
import { profileCommand } from './profile.ts';
import { runCommand } from './run.ts';
import { simulateCommand } from './simulate.ts';
import { workerCommand } from './worker.ts';

export const COMMANDS: readonly Command[] = [
  runCommand,
  planCommand,
  profileCommand,
  simulateCommand,
  explainCommand,
  checkCommand,
  exportCommand,
  modelsCommand,
  workerCommand,
  inspectCommand,
  measureCommand,
  completionCommand(() => COMMANDS),
];

/** The overview that `soapstone --help` prints. */
export function helpText(): string {
  const width = Math.max(...COMMANDS.map(({ name }) => name.length));
  const lines = COMMANDS.map(({ name, summary }) => `  ${name.padEnd(width)}  ${summary}`);
  return `soapstone: finds how to split the training of a model over devices, and trains it

usage: soapstone COMMAND [options]

${lines.join('\n')}

soapstone COMMAND --help tells more; soapstone --version says which this is. Exit codes: 0 done, 1 the answer is no, 2 bad input or a fault.
example: soapstone run examples/mnist/job.yaml
`;
}
