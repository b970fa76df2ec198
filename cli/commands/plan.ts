import process from 'node:process';
import type { SearchSettings } from '../../soap/job/training-job.ts';
import { withNeeded } from '../../soap/simulator/needed-memory.ts';
import { encodePlan } from '../../soap/plan/plan-file.ts';
import type { Arguments } from '../command-line/arguments.ts';
import { flag, parseArguments, positiveNumber, text, wantsJson, wholeNumber } from '../command-line/arguments.ts';
import { COUNTED_SECONDS } from '../planning/counted-search.ts';
import { COSTS_OPTION, costsFor, namedTable, withMeasuredLinks } from '../machine/costs.ts';
import { MODEL_HELP, MODEL_OPTIONS, MODEL_OPTIONS_HELP } from '../model/given-model.ts';
import { TRAINING_OPTIONS } from '../model/batch.ts';
import { frozenInWords } from '../model/frozen-in-words.ts';
import { modelTitle } from '../model/model-title.ts';
import { givenSubject, readCluster } from '../model/model-subject.ts';
import { planBy } from '../planning/plan-by.ts';
import { memoryReportOf, opsThatMatter, strategyOf } from '../planning/plan-views.ts';
import { requireWritable, writeResult } from '../files/result-file.ts';
import { memoryText } from '../terminal/memory-report.ts';
import { messageText } from '../terminal/message-report.ts';
import { planReport } from '../terminal/plan-report.ts';
import { oneLine } from '../terminal/printable.ts';
import type { Command } from '../command-line/command.ts';
import { DEFAULT_SEARCH } from '../../soap/job/search-defaults.ts';

const HELP = `soapstone plan MODEL [--cluster NAME|FILE] [options]: searches a plan, trains nothing

${MODEL_HELP}
${MODEL_OPTIONS_HELP}  --cluster C      p100xN, k80xN, v100xN, a100xN, h100xN, gb200xN (N devices of a node, or whole nodes), local, localxN,
                   or a cluster file (docs/how-to/cluster-files.md); default local
  --batch N        samples per step in all; default 64 without a job
  --accumulate K   micro-batches of N / K samples that a step adds the gradients of, without a job; default 1
  --loss NAME      of the training, without a job: crossEntropy, meanSquaredError or binaryCrossEntropy; default the usual
                   one of the built-in model; of a file crossEntropy, or meanSquaredError where its result is one number
  --freeze GLOB    parameters that keep their values, without a job, * for any characters; may be given more than once
  --wire TYPE      how values travel between devices, without a job: float32 (default) or bfloat16
  --seconds S      time budget of the search, default 10; it ends sooner where half of it found nothing better;
                   the usual strategies may take half of it, and what they have no time for is left out
  --proposals N    stop after so many proposals, in place of a time: the same plan on any machine
  --seed N         default 1
  --chains N       Markov chains, default 2
  --beta B         inverse temperature, default ${DEFAULT_SEARCH.beta}
  --save FILE      write the plan file
  --costs FILE     a table of measured costs, as soapstone profile writes it; without one, data sheets count
  --memory         show what each device needs, over time, and which ops; always where the plan does not fit
  --output FORM    text (default) or json

Exits 1 when no plan fits into the devices' memory. Ctrl-C ends the search early: the best plan so far is printed and saved,
and the command exits with 130.
example: soapstone plan --model alexnet --cluster p100x16 --batch 4096 --seconds 5 --save plan.json
         soapstone plan --model gpt --set layers=24 --set width=1024 --set heads=16 --cluster a100x8
`;

const OPTIONS = {
  ...MODEL_OPTIONS,
  cluster: { type: 'string' },
  batch: { type: 'string' },
  ...TRAINING_OPTIONS,
  seconds: { type: 'string' },
  proposals: { type: 'string' },
  seed: { type: 'string' },
  chains: { type: 'string' },
  beta: { type: 'string' },
  save: { type: 'string' },
  costs: COSTS_OPTION,
  memory: { type: 'boolean' },
  output: { type: 'string' },
} as const;

/** As shells say of a process that SIGINT ended. */
const INTERRUPTED = 130;

export const planCommand: Command = {
  name: 'plan',
  summary: 'search a plan for a model on a cluster, without running it',
  help: HELP,
  async run(args) {
    const parsed = parseArguments(args, OPTIONS, 'plan');
    const file = text(parsed, 'save');
    await requireWritable('save', file);
    const { search, ...model } = await givenSubject(parsed, 'plan');
    const plain = await readCluster(text(parsed, 'cluster') ?? 'local');
    const costs = costsFor(await namedTable(parsed), plain, model.optimizer);
    const cluster = withMeasuredLinks(plain, costs);
    const problem = { ...model, cluster, costs };
    const { plan: found, statistics } = await planBy('search', problem, overridden(search ?? DEFAULT_SEARCH, parsed));
    if (file !== undefined) await writeResult(file, encodePlan(found));
    const memory = flag(parsed, 'memory') || !found.prediction.feasible ? memoryReportOf(found, problem) : undefined;
    const plan = memory === undefined ? found : { ...found, prediction: withNeeded(found.prediction, memory) };
    const ops = opsThatMatter(plan, problem);
    if (wantsJson(parsed)) {
      const devices = plan.cluster.devices.map(({ name }) => name);
      const { baselines, prediction: best, model } = plan;
      process.stdout.write(
        `${JSON.stringify({ model: model.name, devices, seed: plan.search?.seed, search: statistics, best, baselines, costs: plan.costs, ops, memory })}\n`,
      );
    } else {
      process.stdout.write(`model ${oneLine(modelTitle(plan))} on ${oneLine(cluster.name)}\n`);
      if (plan.training?.frozen !== undefined)
        for (const line of frozenInWords(model.training.graph)) process.stdout.write(`${oneLine(line)}\n`);
      process.stdout.write(planReport(plan, ops));
      if (memory !== undefined) process.stdout.write(memoryText(memory));
      if (!plan.prediction.feasible) process.stdout.write(messageText(problem, strategyOf(plan, problem)));
      if (file !== undefined) process.stdout.write(`plan written to ${file}\n`);
    }
    if (statistics?.stoppedBy === 'interrupted') return INTERRUPTED;
    return plan.prediction.feasible ? 0 : 1;
  },
};

function overridden(settings: SearchSettings, args: Arguments): SearchSettings {
  const counted = wholeNumber(args, 'proposals', 1, 1e9);
  const proposals = counted ?? settings.proposals;
  return {
    ...settings,
    seconds: positiveNumber(args, 'seconds') ?? (counted === undefined ? settings.seconds : COUNTED_SECONDS),
    seed: wholeNumber(args, 'seed', 0, Number.MAX_SAFE_INTEGER) ?? settings.seed,
    chains: wholeNumber(args, 'chains', 1, 64) ?? settings.chains,
    beta: positiveNumber(args, 'beta') ?? settings.beta,
    ...(proposals === undefined ? {} : { proposals }),
  };
}
