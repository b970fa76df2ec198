import { readFile } from 'node:fs/promises';
import { parse } from 'yaml';
import { presetCluster } from '../../soap/cluster/presets.ts';
import type { Cluster } from '../../soap/cluster/cluster.ts';
import { createRooflineCosts } from '../../soap/cost/roofline.ts';
import { parseTrainingJob } from '../../soap/job/parse.ts';
import type { TrainingJob } from '../../soap/job/training-job.ts';
import { deviceOrders } from '../../soap/simulator/summary.ts';
import { simulate } from '../../soap/simulator/simulate.ts';
import type { Strategy } from '../../soap/strategy/strategy.ts';
import { buildTaskGraph } from '../../soap/tasks/build.ts';
import { layOut } from '../../soap/tasks/layout.ts';
import { openDataset } from '../../runtime/data/dataset.ts';
import { SampleOrder } from '../../runtime/data/sample-order.ts';
import type { KernelEngine } from '../../runtime/kernels/kernels.ts';
import { learningRateAt } from '../../runtime/optimizers/learning-rate.ts';
import { BatchLoader } from '../../runtime/program/batch-loader.ts';
import { DeviceProgram } from '../../runtime/program/device-program.ts';
import { partialResult } from '../../runtime/program/evaluation.ts';
import { createMemoryTransports } from '../../runtime/transport/memory.ts';
import type { LoadedModel } from '../../runtime/worker/load-job.ts';
import { loadModel } from '../../runtime/worker/load-job.ts';

/** A golden case: a job with its model, in a folder of test/golden. */
export interface GoldenCase {
  readonly directory: string;
  readonly job: TrainingJob;
  readonly loaded: LoadedModel;
  /** Losses of PyTorch's own training in float64. */
  readonly losses: readonly number[];
}

/** Reads a golden case. */
export async function goldenCase(name: string): Promise<GoldenCase> {
  const directory = new URL(`../golden/${name}/`, import.meta.url).pathname;
  const parsed = parseTrainingJob(parse(await readFile(`${directory}job.yaml`, 'utf8')));
  if ('problems' in parsed) throw new Error(JSON.stringify(parsed.problems));
  const reference: { lossesFloat64: number[] } = JSON.parse(await readFile(`${directory}reference.json`, 'utf8'));
  return {
    directory,
    job: parsed.job,
    loaded: await loadModel(parsed.job, directory),
    losses: reference.lossesFloat64,
  };
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
  const { job, loaded, directory } = golden;
  const { training, model } = loaded;
  const tasks = buildTaskGraph(training, strategy, cluster, createRooflineCosts());
  const layout = layOut(training, strategy);
  const orders = deviceOrders(tasks, simulate(tasks));
  const { batchSize, seed, optimizer } = job.spec.training;
  const dataset = await openDataset(job.spec.dataset, directory, training.graph);
  const transports = createMemoryTransports(cluster.devices.length);
  const losses = Array.from({ length: steps }, () => ({ sum: 0, count: 0 }));
  const runs = transports.map(async (transport, device) => {
    const options = {
      training,
      layout,
      tasks,
      order: orders[device]!,
      device,
      engine,
      transport,
      optimizer,
      weights: model.weights,
    };
    const program = new DeviceProgram(options);
    const loader = new BatchLoader(training.graph, dataset, program.dataInputs);
    const order = new SampleOrder(dataset.samples, batchSize, job.spec.dataset.shuffle ? seed : undefined);
    for (let step = 0; step < steps; step++) {
      await loader.load(order.rows(step));
      await program.train(step, { step, learningRate: learningRateAt(optimizer, step, steps) });
      const { lossSum, lossCount } = partialResult(training, program, batchSize);
      losses[step]!.sum += lossSum;
      losses[step]!.count += lossCount;
    }
    program.release();
  });
  await Promise.all(runs);
  await dataset.close();
  return losses.map(({ sum, count }) => sum / count);
}

/** Largest relative difference of two series. */
export function relativeError(actual: readonly number[], expected: readonly number[]): number {
  return Math.max(...expected.map((value, i) => Math.abs(actual[i]! - value) / Math.abs(value)));
}
