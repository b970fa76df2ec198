import { writeFile } from 'node:fs/promises';
import process from 'node:process';
import type { SearchSettings } from '../../soap/job/training-job.ts';
import { encodePlan } from '../../soap/strategy/plan-file.ts';
import type { Arguments } from '../arguments.ts';
import { flag, parseArguments, positiveNumber, text, texts, wantsJson, wholeNumber } from '../arguments.ts';
import { modelSettings, SET_OPTION } from '../model-settings.ts';
import type { ModelSubject } from '../model-subject.ts';
import { builtinSubject, jobSubject, onnxSubject, readCluster } from '../model-subject.ts';
import { opsThatMatter, planBy, planMemory } from '../planning.ts';
import { memoryText } from '../terminal/memory-report.ts';
import { planReport } from '../terminal/plan-report.ts';
import { UsageError } from '../usage-error.ts';
import type { Command } from './command.ts';

const HELP = `soapstone plan (JOB | --model NAME | --onnx FILE) --cluster NAME|FILE [options]: searches a plan, trains nothing

  --set KEY=VALUE  a parameter of the built-in model, as often as needed; soapstone models lists them
  --unroll-steps N steps of a recurrent layer of the ONNX file that make one op, default 8
  --cluster C      p100xN, k80xN, v100xN, a100xN, h100xN, gb200xN (N devices of a node, or whole nodes), local, localxN,
                   or a cluster file (docs/how-to/cluster-files.md)
  --batch N        samples per step in all; default 64 without a job
  --seconds S      time budget of the search, default 10
  --proposals N    stop after so many proposals: the same plan on any machine
  --seed N         default 1
  --chains N       Markov chains, default 2
  --beta B         inverse temperature, default 200
  --save FILE      write the plan file
  --memory         show what each device needs, over time, and which ops; always where the plan does not fit
  --output FORM    text (default) or json

Exits 1 when no plan fits into the devices' memory. Ctrl-C ends the search early: the best plan so far is printed and saved,
and the command exits with 130.
example: soapstone plan --model alexnet --cluster p100x16 --batch 4096 --seconds 5 --save plan.json
         soapstone plan --model gpt --set layers=24 --set width=1024 --set heads=16 --cluster a100x8
`;

const OPTIONS = {
  model: { type: 'string' },
  onnx: { type: 'string' },
  set: SET_OPTION,
  'unroll-steps': { type: 'string' },
  cluster: { type: 'string' },
  batch: { type: 'string' },
  seconds: { type: 'string' },
  proposals: { type: 'string' },
  seed: { type: 'string' },
  chains: { type: 'string' },
  beta: { type: 'string' },
  save: { type: 'string' },
  memory: { type: 'boolean' },
  output: { type: 'string' },
} as const;

/** As shells say of a process that SIGINT ended. */
const INTERRUPTED = 130;

const DEFAULT_BATCH = 64;
const DEFAULT_SEARCH: SearchSettings = {
  seconds: 10,
  seed: 1,
  beta: 200,
  chains: 2,
  start: ['data', 'expert', 'random'],
};

/** What is planned, and how. */
interface Subject extends ModelSubject {
  readonly settings: SearchSettings;
}

export const planCommand: Command = {
  name: 'plan',
  summary: 'search a plan for a model on a cluster, without running it',
  help: HELP,
  async run(args) {
    const parsed = parseArguments(args, OPTIONS, 'plan');
    const { settings, ...model } = await subject(parsed);
    const cluster = await readCluster(text(parsed, 'cluster') ?? 'local');
    const { plan, statistics } = await planBy('search', { ...model, cluster }, overridden(settings, parsed));
    const file = text(parsed, 'save');
    if (file !== undefined) await writeFile(file, encodePlan(plan));
    const memory =
      flag(parsed, 'memory') || !plan.prediction.feasible ? planMemory(plan, { ...model, cluster }) : undefined;
    const ops = opsThatMatter(plan, { ...model, cluster });
    if (wantsJson(parsed)) {
      const devices = plan.cluster.devices.map(({ name }) => name);
      const { baselines, prediction: best, model } = plan;
      process.stdout.write(
        `${JSON.stringify({ model: model.name, devices, seed: plan.search?.seed, search: statistics, best, baselines, ops, memory })}\n`,
      );
    } else {
      process.stdout.write(`model ${plan.model.name} on ${cluster.name}\n${planReport(plan, ops)}`);
      if (memory !== undefined) process.stdout.write(memoryText(memory));
      if (file !== undefined) process.stdout.write(`plan written to ${file}\n`);
    }
    if (statistics?.stoppedBy === 'interrupted') return INTERRUPTED;
    return plan.prediction.feasible ? 0 : 1;
  },
};

/** The model that is planned, with its job's optimizer and search settings where there is a job. */
async function subject(args: Arguments): Promise<Subject> {
  const [path, ...surplus] = args.positionals;
  const [name, onnx] = [text(args, 'model'), text(args, 'onnx')];
  if ([path, name, onnx].filter((given) => given !== undefined).length !== 1 || surplus.length > 0) {
    throw new UsageError('plan expects exactly one of: a job file, --model NAME, --onnx FILE');
  }
  if (name === undefined && texts(args, 'set').length > 0) {
    throw new UsageError('--set gives parameters to a built-in model; expected --model NAME beside it');
  }
  const unrollSteps = wholeNumber(args, 'unroll-steps', 1, 65536);
  if (onnx === undefined && unrollSteps !== undefined) {
    throw new UsageError(
      '--unroll-steps is for recurrent layers of ONNX files; expected --onnx FILE beside it: a job says spec.model.unrollSteps, ' +
        'a built-in model takes --set group=N',
    );
  }
  const batch = wholeNumber(args, 'batch', 1, 1 << 24);
  if (path !== undefined) {
    const { subject: ofJob, search } = await jobSubject(path, batch);
    return { ...ofJob, settings: search };
  }
  const samples = batch ?? DEFAULT_BATCH;
  const model =
    name === undefined
      ? await onnxSubject(onnx!, samples, unrollSteps)
      : builtinSubject(name, samples, modelSettings(args));
  return { ...model, settings: DEFAULT_SEARCH };
}

function overridden(settings: SearchSettings, args: Arguments): SearchSettings {
  const proposals = wholeNumber(args, 'proposals', 1, 1e9) ?? settings.proposals;
  return {
    ...settings,
    seconds: positiveNumber(args, 'seconds') ?? settings.seconds,
    seed: wholeNumber(args, 'seed', 0, Number.MAX_SAFE_INTEGER) ?? settings.seed,
    chains: wholeNumber(args, 'chains', 1, 64) ?? settings.chains,
    beta: positiveNumber(args, 'beta') ?? settings.beta,
    ...(proposals === undefined ? {} : { proposals }),
  };
}
