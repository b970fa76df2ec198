import process from 'node:process';
import { createRooflineCosts } from '../../soap/cost/roofline.ts';
import type { PlanningProblem } from '../../soap/search/evaluate.ts';
import { evaluate } from '../../soap/search/evaluate.ts';
import { memoryReport } from '../../soap/simulator/memory-report.ts';
import { decodePlan, resolvePlan } from '../../soap/strategy/plan-file.ts';
import { loadModel } from '../../runtime/worker/load-job.ts';
import { flag, parseArguments, text, wantsJson } from '../arguments.ts';
import { builtinTraining, SET_OPTION } from '../model-settings.ts';
import { readJob, readText } from '../read-job.ts';
import { bytes, duration } from '../terminal/format.ts';
import { memoryText } from '../terminal/memory-report.ts';
import { UsageError } from '../usage-error.ts';
import type { Command } from './command.ts';

const HELP = `soapstone simulate PLAN [--job JOB | --set KEY=VALUE ...] [--output json]: predicts a given plan, without a search

The model is the built-in one that the plan names, or that of --job.

  --job JOB        the TrainingJob whose model the plan is for
  --set KEY=VALUE  a parameter of the built-in model, as the plan was made with
  --memory         show what each device needs, over time, and which ops; always where the plan does not fit
  --output FORM    text (default) or json

example: soapstone simulate plan.json --job examples/mnist/job.yaml
`;

const OPTIONS = {
  job: { type: 'string' },
  set: SET_OPTION,
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
    const jobPath = text(parsed, 'job');
    const model =
      jobPath === undefined
        ? { training: builtinTraining(plan.model.name, plan.model.batch, parsed) }
        : await jobModel(jobPath);
    const { cluster, strategy } = resolvePlan(plan, model.training.graph, path);
    const problem = { ...model, cluster, costs: createRooflineCosts() };
    const prediction = evaluate(problem, strategy);
    const memory = flag(parsed, 'memory') || !prediction.feasible ? memoryReport(problem, strategy) : undefined;
    if (wantsJson(parsed)) process.stdout.write(`${JSON.stringify({ ...prediction, memory })}\n`);
    else {
      process.stdout.write(
        `one iteration on ${cluster.name}: ${duration(prediction.iterationMs)}, ` +
          `${prediction.samplesPerSecond.toFixed(0)} samples/s, ${bytes(prediction.transferredBytes)} transferred, ` +
          `peak memory ${bytes(prediction.peakMemoryBytes)}${prediction.feasible ? '' : ', which does not fit'}\n`,
      );
      if (memory !== undefined) process.stdout.write(memoryText(memory));
    }
    return prediction.feasible ? 0 : 1;
  },
};

async function jobModel(path: string): Promise<Pick<PlanningProblem, 'training' | 'optimizer'>> {
  const { job, directory } = await readJob(path);
  return { training: (await loadModel(job, directory)).training, optimizer: job.spec.training.optimizer.name };
}
