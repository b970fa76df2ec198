import process from 'node:process';
import { evaluate } from '../../soap/simulator/evaluate.ts';
import { memoryReport } from '../../soap/simulator/memory-report.ts';
import { withNeeded } from '../../soap/simulator/needed-memory.ts';
import { decodePlan } from '../../soap/plan/plan-file.ts';
import { resolvePlan } from '../../soap/plan/resolve-plan.ts';
import { flag, parseArguments, text, wantsJson } from '../command-line/arguments.ts';
import { noteOtherPrediction } from '../machine/prediction-note.ts';
import { COSTS_HELP, COSTS_OPTION, costsFor, tableForPlan } from '../machine/costs.ts';
import { PLAN_MODEL_HELP, PLAN_MODEL_OPTIONS, planSubject, readCluster } from '../model/model-subject.ts';
import { readText } from '../files/read-job.ts';
import { bytes, duration, samplesInWords } from '../terminal/format.ts';
import { memoryText } from '../terminal/memory-report.ts';
import { messageText } from '../terminal/message-report.ts';
import { oneLine } from '../terminal/printable.ts';
import { UsageError } from '../command-line/usage-error.ts';
import type { Command } from '../command-line/command.ts';

const HELP = `soapstone simulate PLAN [options]: predicts a given plan, without a search

${PLAN_MODEL_HELP}  --cluster C      the same devices and wires with other numbers, as soapstone plan takes it
${COSTS_HELP}  --memory         show what each device needs, over time, and which ops; always where the plan does not fit
  --output FORM    text (default) or json

example: soapstone plan --model alexnet --cluster p100x4 --save plan.json
         soapstone simulate plan.json --memory
`;

const OPTIONS = {
  ...PLAN_MODEL_OPTIONS,
  cluster: { type: 'string' },
  costs: COSTS_OPTION,
  memory: { type: 'boolean' },
  output: { type: 'string' },
} as const;

export const simulateCommand: Command = {
  name: 'simulate',
  summary: 'predict a given plan',
  help: HELP,
  async run(args) {
    const parsed = parseArguments(args, OPTIONS, 'simulate');
    const [path, ...surplus] = parsed.positionals;
    if (path === undefined || surplus.length > 0)
      throw new UsageError('simulate expects one plan file: soapstone simulate PLAN');
    const plan = decodePlan(await readText(path), path);
    const subject = await planSubject(plan, parsed);
    const clusterName = text(parsed, 'cluster');
    const target = clusterName === undefined ? undefined : await readCluster(clusterName);
    const { cluster, strategy } = resolvePlan(plan, subject.training.graph, path, target);
    const table = await tableForPlan(parsed, plan);
    const problem = { ...subject, cluster, costs: costsFor(table, cluster, subject.optimizer) };
    const predicted = evaluate(problem, strategy);
    const { iterationMs } = predicted;
    noteOtherPrediction(plan, { iterationMs, hasTable: table !== undefined, elsewhere: target !== undefined });
    const memory = flag(parsed, 'memory') || !predicted.feasible ? memoryReport(problem, strategy) : undefined;
    const prediction = memory === undefined ? predicted : withNeeded(predicted, memory);
    if (wantsJson(parsed)) process.stdout.write(`${JSON.stringify({ ...prediction, memory })}\n`);
    else {
      const samples = samplesInWords(plan.model.batch, subject.training.accumulationSteps);
      process.stdout.write(
        `one iteration of ${samples} on ${oneLine(cluster.name)}: ${duration(prediction.iterationMs)}, ` +
          `${prediction.samplesPerSecond.toFixed(0)} samples/s, ${bytes(prediction.transferredBytes)} transferred, ` +
          `peak memory ${bytes(prediction.peakMemoryBytes)}${prediction.missingMemoryBytes === 0 ? '' : ', which does not fit'}\n`,
      );
      if (memory !== undefined) process.stdout.write(memoryText(memory));
      process.stdout.write(messageText(problem, strategy));
    }
    return prediction.feasible ? 0 : 1;
  },
};
