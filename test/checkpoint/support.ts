import type { ExecutionContext } from 'ava';
import { Checkpointing } from '../../runtime/checkpoint/checkpointing.ts';
import { frozenIdentity } from '../../runtime/checkpoint/identity.ts';
import type { RunSettings } from '../../runtime/checkpoint/run-settings.ts';
import { openDataset } from '../../runtime/data/open-dataset.ts';
import { SampleOrder } from '../../runtime/data/sample-order.ts';
import { floats } from '../../runtime/program/assembly.ts';
import type { KernelEngine } from '../../runtime/kernels/kernels.ts';
import { Conductor } from '../../runtime/program/conductor.ts';
import { InMemoryRun } from '../../runtime/program/in-memory.ts';
import { createMemoryTransports } from '../../runtime/transport/memory.ts';
import { planWork } from '../../runtime/program/planned-work.ts';
import type { AdamSettings, OptimizerSettings } from '../../soap/job/training-job.ts';
import { builtinModel } from '../../soap/models/index.ts';
import { freeze } from '../../soap/graph/freeze.ts';
import { attachLoss, TARGETS } from '../../soap/training/loss.ts';
import { wholeRegion } from '../../soap/region/region.ts';
import type { Graph, Model } from '../../soap/graph/graph.ts';
import { graphFingerprint } from '../../soap/graph/fingerprint.ts';
import type { Strategy } from '../../soap/strategy/strategy.ts';
import { devices } from '../support/train-in-memory.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

/** A folder of the test, removed after it. */
export async function folder(t: ExecutionContext): Promise<string> {
  const directory = await temporaryFolder(t);
  return directory;
}

const [BATCH, SEED, SAMPLES] = [8, 5, 24];

export const ADAM: AdamSettings = {
  name: 'adamw',
  learningRate: 0.003,
  schedule: { name: 'constant', warmupSteps: 0 },
  betas: [0.9, 0.999],
  epsilon: 1e-8,
  weightDecay: 0.01,
};

/** LeNet, or a model that drops values at random. */
function modelOf({ drops = false }: TestRunOptions): Model {
  if (!drops) return builtinModel('lenet', BATCH, SEED);
  return builtinModel('alexnet', BATCH, SEED, { classes: 10, image: 63, width: 2, hidden: 16, dropout: 0.5 });
}

export interface TestRunOptions {
  readonly directory: string;
  readonly count: number;
  readonly strategy: (graph: Graph, cluster: ReturnType<typeof devices>) => Strategy;
  readonly engine: KernelEngine;
  readonly keep?: number;
  readonly seed?: number;
  /** Whether the model drops values at random. */
  readonly drops?: boolean;
  readonly optimizer?: OptimizerSettings;
  /** Globs of parameters that keep their values. */
  readonly frozen?: readonly string[];
  readonly settings?: RunSettings;
  /** By device, where its checkpoints go; the directory where left out. */
  readonly directories?: readonly string[];
}

/** A run of LeNet, or another model, on made-up, shuffled samples, all devices in this process. */
export interface TestRun {
  readonly notices: string[];
  begin(resume: boolean): Promise<number>;
  train(step: number): Promise<number>;
  save(step: number, final?: boolean, isSound?: boolean): Promise<string | undefined>;
  weights(): Float32Array[];
  /** The images and labels of a step. */
  batch(step: number): Promise<{ images: Float32Array; targets: BigInt64Array }>;
  close(): Promise<void>;
}

export async function testRun(options: TestRunOptions): Promise<TestRun> {
  const { directory, count, engine, keep = 3, seed = SEED, optimizer = ADAM } = options;
  const model = modelOf(options);
  const training = attachLoss(freeze(model.graph, options.frozen ?? []), 'crossEntropy');
  const cluster = devices(count);
  const strategy = options.strategy(training.graph, cluster);
  const dataset = await openDataset({ synthetic: { samples: SAMPLES }, shuffle: true }, '.', training.graph);
  const { weights } = model;
  const run = new InMemoryRun({ training, weights, strategy, cluster, engine, optimizer, seed, dataset });
  const { tasks, layout } = planWork(training, strategy, cluster);
  const order = new SampleOrder(SAMPLES, BATCH, seed);
  const notices: string[] = [];
  const checkpoints = createMemoryTransports(count).map(
    (transport, device) =>
      new Checkpointing({
        directory: options.directories?.[device] ?? directory,
        keep,
        device,
        devices: count,
        layout,
        parameters: run.programs[device]!.parameters,
        moments: new Map(),
        conductor: new Conductor(transport, tasks),
        run: {
          ...frozenIdentity(training),
          model: graphFingerprint(training.graph),
          optimizer: optimizer.name,
          seed,
          samples: SAMPLES,
          shuffle: true,
          batchSize: BATCH,
        },
        settings: options.settings ?? {},
        source: { builtin: { name: 'lenet' } },
        notice: (message) => notices.push(message),
      }),
  );
  let pass = 1000;
  return {
    notices,
    async begin(resume) {
      pass++;
      const steps = await Promise.all(checkpoints.map((each) => each.begin(pass, resume)));
      return steps[0]?.step ?? 0;
    },
    async train(step) {
      const { lossSum, lossCount } = await run.train({ step, learningRate: optimizer.learningRate }, order.rows(step));
      return lossSum / lossCount;
    },
    async save(step, final = false, isSound = true) {
      pass++;
      const saved = await Promise.all(checkpoints.map((each) => each.save(pass, step, final, isSound)));
      return saved[0];
    },
    weights: () =>
      run.programs.flatMap(({ parameters }) => [...parameters.states].map(({ weight }) => floats(weight.host).slice())),
    async batch(step) {
      const [image] = training.graph.inputs.map((id) => training.graph.tensors[id]!);
      const { name, shape } = image!;
      const images = new Float32Array(shape.reduce((a, b) => a * b, 1));
      const targets = new BigInt64Array(BATCH);
      await dataset.read(name, order.rows(step), wholeRegion(shape.slice(1)), images);
      await dataset.read(TARGETS, order.rows(step), [], targets);
      return { images, targets };
    },
    async close() {
      run.release();
      await dataset.close();
    },
  };
}
