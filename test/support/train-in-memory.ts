import { readFile } from 'node:fs/promises';
import { parse } from 'yaml';
import { presetCluster } from '../../soap/cluster/presets.ts';
import type { Cluster } from '../../soap/cluster/cluster.ts';
import { parseTrainingJob } from '../../soap/job/parse.ts';
import type { TrainingJob } from '../../soap/job/training-job.ts';
import type { Strategy } from '../../soap/strategy/strategy.ts';
import type { Dataset } from '../../runtime/data/dataset.ts';
import { openDataset } from '../../runtime/data/open-dataset.ts';
import { SampleOrder } from '../../runtime/data/sample-order.ts';
import type { KernelEngine } from '../../runtime/kernels/kernels.ts';
import { learningRateAt } from '../../runtime/optimizers/learning-rate.ts';
import { InMemoryRun } from '../../runtime/program/in-memory.ts';
import type { LoadedModel } from '../../runtime/model/load-model.ts';
import { loadModel } from '../../runtime/model/load-model.ts';

/** A golden case: a job with its model, in a folder of test/golden. */
export interface GoldenCase {
  readonly directory: string;
  readonly job: TrainingJob;
  readonly loaded: LoadedModel;
  /** Losses of PyTorch's own training in float64. */
  readonly losses: readonly number[];
  /** Norms of the gradients of its first step in float64, by parameter. */
  readonly gradientNorms: Readonly<Record<string, number>>;
}

/** Reads a golden case. */
export async function goldenCase(name: string): Promise<GoldenCase> {
  const directory = new URL(`../golden/${name}/`, import.meta.url).pathname;
  const parsed = parseTrainingJob(parse(await readFile(`${directory}job.yaml`, 'utf8')));
  if ('problems' in parsed) throw new Error(JSON.stringify(parsed.problems));
  const reference: { lossesFloat64: number[]; gradientNormsStep0Float64: Record<string, number> } = JSON.parse(
    await readFile(`${directory}reference.json`, 'utf8'),
  );
  return {
    directory,
    job: parsed.job,
    loaded: await loadModel(parsed.job, directory),
    losses: reference.lossesFloat64,
    gradientNorms: reference.gradientNormsStep0Float64,
  };
}

/** A golden case whose batch is taken in so many micro-batches. */
export async function inMicroBatches(golden: GoldenCase, gradientAccumulationSteps: number): Promise<GoldenCase> {
  const training = { ...golden.job.spec.training, gradientAccumulationSteps };
  const job = { ...golden.job, spec: { ...golden.job.spec, training } };
  return { ...golden, job, loaded: await loadModel(job, golden.directory) };
}

/** A cluster of so many local devices. */
export function devices(count: number): Cluster {
  return presetCluster(`localx${count}`);
}

/** Trains a golden case under a strategy, all devices in this process. Returns the loss of each step. */
export async function trainInMemory(
  golden: GoldenCase,
  cluster: Cluster,
  strategy: Strategy,
  engine: KernelEngine,
  steps: number = golden.losses.length,
): Promise<number[]> {
  return (await trainWithGradients(golden, cluster, strategy, engine, steps)).losses;
}

/** The same, with the norms of the gradients of the first step, by parameter. */
export async function trainWithGradients(
  golden: GoldenCase,
  cluster: Cluster,
  strategy: Strategy,
  engine: KernelEngine,
  steps: number = golden.losses.length,
): Promise<{ losses: number[]; gradientNorms: Record<string, number> }> {
  const { job, directory } = golden;
  const { batchSize, seed, optimizer } = job.spec.training;
  const dataset = await openDataset(job.spec.dataset, directory, golden.loaded.training.graph);
  const run = goldenRun(golden, cluster, strategy, engine, dataset);
  const order = new SampleOrder(dataset.samples, batchSize, job.spec.dataset.shuffle ? seed : undefined);
  const losses: number[] = [];
  let gradientNorms: Record<string, number> = {};
  for (let step = 0; step < steps; step++) {
    const learningRate = learningRateAt(optimizer, step, steps);
    const { lossSum, lossCount } = await run.train({ step, learningRate }, order.rows(step));
    losses.push(lossSum / lossCount);
    if (step === 0) gradientNorms = await normsOf(run);
  }
  run.release();
  await dataset.close();
  return { losses, gradientNorms };
}

/** A golden case on devices in this process, before its first step. */
export function goldenRun(
  { job, loaded: { training, model } }: GoldenCase,
  cluster: Cluster,
  strategy: Strategy,
  engine: KernelEngine,
  dataset: Dataset,
): InMemoryRun {
  const { optimizer, seed, wire } = job.spec.training;
  const { weights } = model;
  return new InMemoryRun({ training, weights, strategy, cluster, engine, optimizer, seed, wire, dataset });
}

/** Norms of the gradients of a run's last step, by parameter, each shard counted once. */
export async function normsOf({ layout, programs }: InMemoryRun): Promise<Record<string, number>> {
  const squares: Record<string, number> = {};
  for (const { id, tensor, devices: holders, isTrained } of layout.shards) {
    if (!isTrained) continue;
    const { name } = layout.graph.tensors[tensor]!;
    const gradient = await programs[holders[0]!]!.gradient(id);
    squares[name] = gradient.reduce((sum, value) => sum + value * value, squares[name] ?? 0);
  }
  return Object.fromEntries(Object.entries(squares).map(([name, sum]) => [name, Math.sqrt(sum)]));
}

/** Largest difference of two sets of norms, relative to each; norms that are 0 up to rounding against the largest of all. */
export function gradientNormError(
  actual: Readonly<Record<string, number>>,
  expected: Readonly<Record<string, number>>,
): number {
  const floor = 1e-3 * Math.max(...Object.values(expected));
  const errors = Object.entries(expected).map(
    ([name, norm]) => Math.abs((actual[name] ?? Number.NaN) - norm) / Math.max(norm, floor),
  );
  return errors.some(Number.isNaN) ? Number.NaN : Math.max(...errors);
}

/** Largest relative difference of two series. */
export function relativeError(actual: readonly number[], expected: readonly number[]): number {
  return Math.max(...expected.map((value, i) => Math.abs(actual[i]! - value) / Math.abs(value)));
}
