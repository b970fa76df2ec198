import type { PageCommand } from './pages.ts';

/** A command that no test runs, and why that is right. */
interface Skipped {
  readonly page: string;
  readonly command: RegExp;
  readonly why: string;
}

/** All commands of the documentation that no test runs. A page is not here: its commands are run. */
export const SKIPPED: readonly Skipped[] = [
  { page: 'docs/how-to/grafana.md', command: /^helm /, why: 'needs the Prometheus operator; chart.test.ts has it' },
  { page: 'README.md', command: /^npm ci && npm (start|test)$/, why: 'installs the packages that the tests run with' },
  { page: 'README.md', command: /^docker /, why: 'needs Docker; test/cluster/image.test.ts builds the image' },
  { page: 'docs/gpu.md', command: /./, why: 'needs a GPU, or minutes without; test/cli/webgpu.slow.test.ts' },
  { page: 'docs/quickstart.md', command: /^npm ci$/, why: 'installs the packages that the tests run with' },
  { page: 'docs/quickstart.md', command: /^docker /, why: 'needs Docker; test/cluster/image.test.ts builds the image' },
  { page: 'docs/tutorial.md', command: /^python3 /, why: 'needs PyTorch; what it writes is checked in' },
  {
    page: 'docs/how-to/kubernetes.md',
    command: /^npm run controller$/,
    why: 'runs on; the cluster tests have it running',
  },
  { page: 'docs/how-to/slow-link.md', command: /NAME/, why: 'the reader puts in a name; docs/tutorial.md has one' },
  {
    page: 'docs/how-to/kubectl.md',
    command: /^npm install/,
    why: 'writes outside of the workspace; test/cli/install.slow.test.ts',
  },
  { page: 'docs/reference/command.md', command: /soapstone worker/, why: 'needs a pod; test/cluster has it in pods' },
  { page: 'docs/reference/command.md', command: /soapstone inspect/, why: 'needs a pod; test/cluster has it in pods' },
  { page: 'docs/reference/command.md', command: /soapstone measure/, why: 'needs a pod; test/cluster has it in pods' },
  {
    page: 'docs/reference/command.md',
    command: /completion (zsh|fish) >/,
    why: 'writes into the home folder; test/cli/completion.test.ts',
  },
  { page: 'docs/operations.md', command: /^docker /, why: 'needs Docker; test/cluster/image.test.ts builds the image' },
  {
    page: 'docs/operations.md',
    command: /^helm /,
    why: 'needs that image; test/cluster/chart.test.ts installs the chart',
  },
  { page: 'docs/operations.md', command: /NAME/, why: 'the reader puts in a name; docs/tutorial.md has it with one' },
];

/** Why a command is not run, or undefined. */
export function skipped({ place, command }: PageCommand): Skipped | undefined {
  return SKIPPED.find((each) => place.startsWith(`${each.page}:`) && each.command.test(command));
}

/** Whether a command needs a cluster: it is run in test/cluster/docs.test.ts, with all others of its page. */
export function needsCluster({ command }: PageCommand): boolean {
  return /^(kubectl|helm) /.test(command);
}
