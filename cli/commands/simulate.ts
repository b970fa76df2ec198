import process from 'node:process';
import { createRooflineCosts } from '../../soap/cost/roofline.ts';
import { attachLoss } from '../../soap/graph/loss.ts';
import { builtinGraph } from '../../soap/models/index.ts';
import { evaluate } from '../../soap/search/evaluate.ts';
import { decodePlan, resolvePlan } from '../../soap/strategy/plan-file.ts';
import { loadModel } from '../../runtime/worker/load-job.ts';
import { parseArguments, text, wantsJson } from '../arguments.ts';
import { readJob, readText } from '../read-job.ts';
import { bytes, duration } from '../terminal/format.ts';
import { UsageError } from '../usage-error.ts';
import type { Command } from './command.ts';

const HELP = `soapstone simulate PLAN [--job JOB] [--output json]: predicts a given plan, without a search

The model is the built-in one that the plan names, or that of --job.

  --job JOB        the TrainingJob whose model the plan is for
  --output FORM    text (default) or json

example: soapstone simulate plan.json --job examples/mnist/job.yaml
`;

export const simulateCommand: Command = {
  name: 'simulate',
  summary: 'predict a given plan',
  help: HELP,
  async run(args) {
    const parsed = parseArguments(args, { job: { type: 'string' }, output: { type: 'string' } }, 'simulate');
    const [path, ...surplus] = parsed.positionals;
    if (path === undefined || surplus.length > 0)
      throw new UsageError('simulate expects one plan file: soapstone simulate PLAN');
    const plan = decodePlan(await readText(path), path);
    const jobPath = text(parsed, 'job');
    const training =
      jobPath === undefined
        ? attachLoss(builtinGraph(plan.model.name, plan.model.batch), 'crossEntropy')
        : await jobModel(jobPath);
    const { cluster, strategy } = resolvePlan(plan, training.graph, path);
    const prediction = evaluate({ training, cluster, costs: createRooflineCosts() }, strategy);
    if (wantsJson(parsed)) process.stdout.write(`${JSON.stringify(prediction)}\n`);
    else {
      process.stdout.write(
        `one iteration on ${cluster.name}: ${duration(prediction.iterationMs)}, ` +
          `${prediction.samplesPerSecond.toFixed(0)} samples/s, ${bytes(prediction.transferredBytes)} transferred, ` +
          `peak memory ${bytes(prediction.peakMemoryBytes)}${prediction.feasible ? '' : ', which does not fit'}\n`,
      );
    }
    return prediction.feasible ? 0 : 1;
  },
};

async function jobModel(path: string): Promise<Awaited<ReturnType<typeof loadModel>>['training']> {
  const { job, directory } = await readJob(path);
  return (await loadModel(job, directory)).training;
}
