import type { Command } from '../command-line/command.ts';
import { explainCommand } from './explain.ts';
import { logsCommand } from './logs.ts';
import { planCommand } from './plan.ts';
import { topCommand } from './top.ts';

/** The subcommands of `kubectl soapstone`. */
export const KUBECTL_COMMANDS: readonly Command[] = [planCommand, explainCommand, topCommand, logsCommand];

/** The overview that `kubectl soapstone --help` prints. */
export function kubectlHelpText(): string {
  const lines = KUBECTL_COMMANDS.map(({ name, summary }) => `  ${name.padEnd(8)} ${summary}`);
  return `kubectl soapstone: looks into TrainingJobs of a cluster, by your kubeconfig

usage: kubectl soapstone COMMAND [options]

${lines.join('\n')}

kubectl soapstone COMMAND --help tells more. Exit codes: 0 done, 2 bad input or a fault.
example: kubectl soapstone top
`;
}
