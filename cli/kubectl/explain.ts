import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import process from 'node:process';
import { encodeSpans } from '../../runtime/profile/recorded-spans.ts';
import { parseArguments, text } from '../command-line/arguments.ts';
import type { Arguments } from '../command-line/arguments.ts';
import type { Command } from '../command-line/command.ts';
import { explainCommand as explainPlan } from '../commands/explain.ts';
import type { Access } from './access.ts';
import { ACCESS_HELP, ACCESS_OPTIONS, openCluster } from './access.ts';
import { readJobResource, readStoredPlan } from './job-objects.ts';
import { costsOfPlan } from './costs-of-plan.ts';
import { readSpans } from './measure.ts';
import { oneJob } from './one-job.ts';
import { withPlanFiles } from './planned-model.ts';
import { messageOf } from '../../soap/message-of.ts';

const HELP = `kubectl soapstone explain JOB [options]: why a job's plan takes as long as it does, and what would help

  --what-if C         a changed cluster, as soapstone explain --help has it: network*2, nodes+1, type=H100, ...
  --seconds S         time budget of the search there, default 3
  --proposals N       end that search after so many proposals
  --seed N            of that search, default 1
  --html FILE         write a page with the graph, the timeline, the cluster and the memory; it works offline
  --trace FILE        write the simulated iteration as a Chrome trace, which ui.perfetto.dev opens, below ten measured ones of
                      a job that runs
  --onnx FILE         the job's model, where it is not in a ConfigMap
  --costs FILE        a table of measured costs, as soapstone profile writes it; without one, those count that the plan was made by,
                      as the cluster keeps them
  --output FORM       text (default) or json
${ACCESS_HELP}
example: kubectl soapstone explain mnist
         kubectl soapstone explain mnist --what-if 'network*2' --html mnist.html
`;

/** Options that go on to `soapstone explain`. */
const PASSED = {
  costs: { type: 'string' },
  'what-if': { type: 'string' },
  seconds: { type: 'string' },
  proposals: { type: 'string' },
  seed: { type: 'string' },
  html: { type: 'string' },
  trace: { type: 'string' },
  output: { type: 'string' },
} as const;

export const explainCommand: Command = {
  name: 'explain',
  summary: "say why a job's plan takes as long as it does, and what would help",
  help: HELP,
  async run(args) {
    const options = { ...ACCESS_OPTIONS, ...PASSED, onnx: { type: 'string' } } as const;
    const parsed = parseArguments(args, options, 'explain', 'kubectl soapstone');
    const name = oneJob(parsed, 'explain');
    const access = openCluster(parsed);
    const stored = await readStoredPlan(access, name);
    return withPlanFiles(access, stored, parsed, async ({ folder, plan, onnx }) => {
      const model = onnx === undefined ? [] : ['--onnx', onnx];
      const measured = text(parsed, 'trace') === undefined ? [] : await measuredSteps(access, name, folder);
      const kept = text(parsed, 'costs') === undefined ? await costsOfPlan(access, stored, folder) : undefined;
      const costs = kept === undefined ? [] : ['--costs', kept];
      return explainPlan.run([plan, ...model, ...measured, ...costs, ...passedOn(parsed)]);
    });
  },
};

/** The option that lays over the prediction what the job's devices recorded; nothing, and a line that says why, where that cannot be had. */
async function measuredSteps(access: Access, name: string, folder: string): Promise<string[]> {
  try {
    const spans = await readSpans(access, await readJobResource(access, name));
    if (spans.size === 0) throw new Error('the job has not run 15 steps in its present pods');
    const file = join(folder, 'spans.json');
    await writeFile(file, encodeSpans(spans));
    return ['--measured', file];
  } catch (error) {
    const reason = messageOf(error);
    process.stderr.write(`the trace has the simulated iteration alone: ${reason}\n`);
    return [];
  }
}

function passedOn({ options }: Arguments): string[] {
  return Object.keys(PASSED).flatMap((name) => {
    const value = options[name];
    return typeof value === 'string' ? [`--${name}`, value] : [];
  });
}
