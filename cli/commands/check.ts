import { availableParallelism } from 'node:os';
import process from 'node:process';
import { attachLoss, usualLoss } from '../../soap/training/loss.ts';
import type { KernelProvider } from '../../soap/job/kernel-providers.ts';
import type { CheckResult } from '../../runtime/check/check-strategies.ts';
import { checkStrategies } from '../../runtime/check/check-strategies.ts';
import type { Dataset } from '../../runtime/data/dataset.ts';
import { openDataset } from '../../runtime/data/open-dataset.ts';
import { createKernelEngine } from '../../runtime/kernels/create-engine.ts';
import type { LoadedModel } from '../../runtime/model/load-model.ts';
import { loadModel } from '../../runtime/model/load-model.ts';
import type { Arguments } from '../command-line/arguments.ts';
import { kernelProvider, parseArguments, wantsJson, wholeNumber } from '../command-line/arguments.ts';
import { givenModel, MODEL_HELP, MODEL_OPTIONS, MODEL_OPTIONS_HELP } from '../model/given-model.ts';
import { loadedBuiltin } from '../model/model-settings.ts';
import { modelOfFile } from '../model/onnx-file.ts';
import { readJob } from '../files/read-job.ts';
import { oneLine } from '../terminal/printable.ts';
import { Progress } from '../terminal/progress.ts';
import { thisMachine } from '../machine/this-machine.ts';
import { UsageError } from '../command-line/usage-error.ts';
import type { Command } from '../command-line/command.ts';

const HELP = `soapstone check MODEL [options]: proves that no split changes what a model computes

Runs the model's forward and backward pass under random strategies, all devices in this process, and compares the loss and
the gradients of all parameters with those of one device. A job brings its own data; other models get made-up samples.
${MODEL_HELP}
${MODEL_OPTIONS_HELP}  --batch N        samples in the batch; default 8, or the job's
  --devices N      default 4
  --strategies N   default 20
  --provider P     what computes: auto, cpu, webgpu, cuda or reference; by default the job's training.kernels, else auto
  --seed N         draws the strategies and the weights of built-in models; default 1
  --output FORM    text (default) or json: strategies, maxForwardError, maxGradientError, rounding, failures

Errors are relative. A strategy fails whose loss is off by more than 1e-4, or a parameter's gradient by more than 1e-2, and
by more than 5 times what rounding the weights does. Exits 1 when one fails.
example: soapstone check lenet --devices 4 --strategies 50
`;

const OPTIONS = {
  ...MODEL_OPTIONS,
  batch: { type: 'string' },
  devices: { type: 'string' },
  strategies: { type: 'string' },
  seed: { type: 'string' },
  provider: { type: 'string' },
  output: { type: 'string' },
} as const;

const [DEFAULT_BATCH, DEFAULT_DEVICES, DEFAULT_STRATEGIES, DEFAULT_SEED] = [8, 4, 20, 1];

/** What is checked, on what. */
interface Subject extends LoadedModel {
  /** What the job computes by; undefined without one. */
  readonly kernels?: KernelProvider;
  readonly batch: number;
  readonly dataset: Dataset;
}

export const checkCommand: Command = {
  name: 'check',
  summary: 'prove that no split changes what a model computes',
  help: HELP,
  async run(args) {
    const parsed = parseArguments(args, OPTIONS, 'check');
    const result = await check(parsed);
    process.stdout.write(wantsJson(parsed) ? `${JSON.stringify(result)}\n` : report(result));
    return result.failures.length === 0 ? 0 : 1;
  },
};

async function check(args: Arguments): Promise<CheckResult> {
  const devices = wholeNumber(args, 'devices', 1, 64) ?? DEFAULT_DEVICES;
  const strategies = wholeNumber(args, 'strategies', 1, 1e6) ?? DEFAULT_STRATEGIES;
  const seed = wholeNumber(args, 'seed', 0, 2 ** 32 - 1) ?? DEFAULT_SEED;
  const { model, training, batch, dataset, kernels = 'auto' } = await subject(seed, args);
  const { engine } = createKernelEngine(kernelProvider(args) ?? kernels, { threads: availableParallelism(), gpu: 0 });
  const progress = new Progress('checking', process.stderr);
  try {
    const result = await checkStrategies({
      training,
      weights: model.weights,
      cluster: thisMachine(devices),
      engine,
      dataset,
      batch,
      strategies,
      seed,
      onChecked: (checked) => progress.update(checked / strategies, `${checked} of ${strategies} strategies`),
    });
    progress.finish(`${strategies} strategies`);
    return result;
  } finally {
    progress.close();
    engine.close();
    await dataset.close();
  }
}

async function subject(seed: number, args: Arguments): Promise<Subject> {
  const { job, name, onnx, unrollSteps } = givenModel(args, 'check');
  const asked = wholeNumber(args, 'batch', 1, 1 << 24);
  if (job !== undefined) return jobSubject(job, asked);
  const batch = asked ?? DEFAULT_BATCH;
  const loaded =
    name === undefined ? await loadedFile(onnx!, batch, unrollSteps) : loadedBuiltin(name, batch, seed, args);
  const source = { synthetic: { samples: batch }, shuffle: false };
  return { ...loaded, batch, dataset: await openDataset(source, '.', loaded.training.graph) };
}

async function jobSubject(path: string, asked: number | undefined): Promise<Subject> {
  const { job, directory } = await readJob(path);
  const { training } = job.spec;
  const batch = asked ?? training.batchSize;
  // Passes through the model are checked, which take a batch whole.
  const whole = { ...training, batchSize: batch, gradientAccumulationSteps: 1 };
  const changed = { ...job, spec: { ...job.spec, training: whole } };
  const loaded = await loadModel(changed, directory);
  const dataset = await openDataset(job.spec.dataset, directory, loaded.training.graph);
  if (dataset.samples >= batch) return { ...loaded, batch, dataset, kernels: training.kernels };
  await dataset.close();
  throw new UsageError(
    `the data set has ${dataset.samples} samples; expected a batch of ${batch}: pass a smaller --batch`,
  );
}

async function loadedFile(path: string, batch: number, unrollSteps: number | undefined): Promise<LoadedModel> {
  const model = await modelOfFile(path, 'see that the path is right', batch, unrollSteps);
  return { model, training: attachLoss(model.graph, usualLoss(model.graph)) };
}

function report({ strategies, maxForwardError, maxGradientError, rounding, failures }: CheckResult): string {
  const lines = failures.map(({ strategy, message }) => `strategy ${strategy}: ${oneLine(message)}`);
  lines.push(
    `${strategies} strategies, ${failures.length} failed; largest relative errors: ` +
      `loss ${maxForwardError.toExponential(1)}, gradients ${maxGradientError.toExponential(1)} ` +
      `(by rounding alone: ${rounding.forwardError.toExponential(1)}, ${rounding.gradientError.toExponential(1)})`,
  );
  return `${lines.join('\n')}\n`;
}
