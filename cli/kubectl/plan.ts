import process from 'node:process';
import { decodePlan } from '../../soap/plan/plan-file.ts';
import { resolvePlan } from '../../soap/plan/resolve-plan.ts';
import { parseArguments, text, wantsJson } from '../command-line/arguments.ts';
import type { Command } from '../command-line/command.ts';
import { COSTS_OPTION, costsFor, namedTable, tableForPlan } from '../machine/costs.ts';
import { modelTitle } from '../model/model-title.ts';
import { planSubject } from '../model/model-subject.ts';
import { opsAsPlanned, opsThatMatter } from '../planning/plan-views.ts';
import { requireWritable, writeResult } from '../files/result-file.ts';
import { planReport } from '../terminal/plan-report.ts';
import { oneLine } from '../terminal/printable.ts';
import { ACCESS_HELP, ACCESS_OPTIONS, openCluster } from './access.ts';
import { readStoredPlan } from './job-objects.ts';
import { costsOfPlan } from './costs-of-plan.ts';
import { oneJob } from './one-job.ts';
import { withPlanFiles } from './planned-model.ts';

const HELP = `kubectl soapstone plan JOB [options]: the plan of a job in the cluster, beside its baselines

  --save FILE         write the plan file, for soapstone simulate and explain, or another job's spec.plan
  --onnx FILE         the job's model, where it is not in a ConfigMap
  --costs FILE        a table of measured costs, as soapstone profile writes it, by which ops are timed; without one, they take as
                      long as when the plan was made, so that they fit its total
  --output FORM       text (default) or json
${ACCESS_HELP}
example: kubectl soapstone plan mnist
         kubectl soapstone plan mnist -n team-a --save plan.json
`;

const OPTIONS = {
  ...ACCESS_OPTIONS,
  save: { type: 'string' },
  onnx: { type: 'string' },
  costs: COSTS_OPTION,
  output: { type: 'string' },
} as const;

export const planCommand: Command = {
  name: 'plan',
  summary: 'show the plan of a job, beside its baselines',
  help: HELP,
  async run(args) {
    const parsed = parseArguments(args, OPTIONS, 'plan', 'kubectl soapstone');
    const name = oneJob(parsed, 'plan');
    const file = text(parsed, 'save');
    await requireWritable('save', file);
    const access = openCluster(parsed);
    const stored = await readStoredPlan(access, name);
    if (file !== undefined) await writeResult(file, stored.plan);
    const plan = decodePlan(stored.plan, `the plan of ${access.namespace}/${name}`);
    const ops = await withPlanFiles(access, stored, parsed, async ({ folder, onnx }) => {
      const model = await planSubject(plan, { options: { onnx }, positionals: [] });
      const { cluster } = resolvePlan(plan, model.training.graph, 'the plan');
      const named = text(parsed, 'costs');
      const costs = named ?? (await costsOfPlan(access, stored, folder));
      const args = { options: { costs }, positionals: [] };
      // A plan that has the times of its ops needs no word on other costs.
      const isTimed = Object.values(plan.ops).every(({ computeMs }) => computeMs !== undefined);
      const table = await (isTimed ? namedTable(args) : tableForPlan(args, plan));
      const problem = { ...model, cluster, costs: costsFor(table, cluster, model.optimizer) };
      return named === undefined ? opsAsPlanned(plan, problem) : opsThatMatter(plan, problem);
    });
    if (wantsJson(parsed)) {
      const { model, cluster, prediction: best, baselines } = plan;
      const devices = cluster.devices.map((device) => device.name);
      process.stdout.write(`${JSON.stringify({ job: name, model: model.name, devices, best, baselines, ops })}\n`);
    } else {
      process.stdout.write(
        `job ${access.namespace}/${name}, model ${oneLine(modelTitle(plan))}\n${planReport(plan, ops)}`,
      );
      if (file !== undefined) process.stdout.write(`plan written to ${file}\n`);
    }
    return 0;
  },
};
