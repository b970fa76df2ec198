import { readFile, stat } from 'node:fs/promises';
import type { Cluster } from '../../soap/cluster/cluster.ts';
import { createRooflineCosts } from '../../soap/cost/roofline.ts';
import type { Graph, Model } from '../../soap/graph/graph.ts';
import { importOnnx } from '../../soap/graph/import.ts';
import type { TrainingGraph } from '../../soap/graph/loss.ts';
import { attachLoss } from '../../soap/graph/loss.ts';
import type { TrainingJob, TrainingSettings } from '../../soap/job/training-job.ts';
import { microBatchSize } from '../../soap/job/training-job.ts';
import { builtinModel } from '../../soap/models/index.ts';
import { decodeOnnx } from '../../soap/onnx/decode.ts';
import type { OnnxGraph } from '../../soap/onnx/model.ts';
import { deviceOrders } from '../../soap/simulator/summary.ts';
import { simulate } from '../../soap/simulator/simulate.ts';
import type { Plan } from '../../soap/plan/plan.ts';
import type { Strategy } from '../../soap/strategy/strategy.ts';
import type { TaskOptions } from '../../soap/tasks/task-options.ts';
import { buildTaskGraph } from '../../soap/tasks/build.ts';
import type { Layout } from '../../soap/tasks/layout.ts';
import { layOut } from '../../soap/tasks/layout.ts';
import { oversizedMessage } from '../../soap/tasks/message-limit.ts';
import type { TaskGraph } from '../../soap/tasks/task-graph.ts';
import { externalDataBeside } from '../data/external-data.ts';
import { fileReason } from '../storage/file-reason.ts';
import { readFetchedModel } from '../data/fetched-model.ts';
import { formFailure, readFailure } from '../storage/missing-file.ts';
import { storagePath } from '../storage/storage-path.ts';
import { predictedOpMs } from '../program/op-clock.ts';

/** A job's model with its loss and initial weights. */
export interface LoadedModel {
  readonly model: Model;
  readonly training: TrainingGraph;
}

/** Reads the model a job names. @throws {Error} sentences about what is wrong with it */
export async function loadModel({ spec }: TrainingJob, directory: string): Promise<LoadedModel> {
  const { seed, loss, gradientAccumulationSteps } = spec.training;
  const model = await readModel(spec.model, directory, microBatchSize(spec.training), seed);
  const { name, ...options } = loss;
  return { model, training: attachLoss(model.graph, name, options, gradientAccumulationSteps) };
}

async function readModel(
  source: TrainingJob['spec']['model'],
  directory: string,
  batch: number,
  seed: number,
): Promise<Model> {
  if ('builtin' in source) {
    const { name, ...parameters } = source.builtin;
    return builtinModel(name, batch, seed, parameters);
  }
  const { unrollSteps } = source;
  const name = 'url' in source ? source.url : source.onnx;
  const onnx = await ('url' in source
    ? readFetchedModel(source).then((bytes) => decodeOnnx(bytes, name))
    : readStoredModel(source.onnx, directory));
  return importOnnx(onnx, { batch, source: name, unrollSteps });
}

/**
 * Reads the ONNX file of a job from its storage.
 * @param place what messages call the folder
 * @throws {Error} a sentence where that fails; `isMissingFile` tells where a file is not there, or not whole yet
 */
export async function readStoredModel(onnx: string, directory: string, place: string = directory): Promise<OnnxGraph> {
  const path = storagePath(directory, onnx);
  const bytes = await readFile(path).catch((error: unknown) => {
    const message = `cannot read model '${onnx}' in ${place}: ${fileReason(error)}; correct spec.model.onnx, or put it there`;
    throw readFailure(message, error);
  });
  try {
    return decodeOnnx(bytes, onnx, externalDataBeside(path));
  } catch (error) {
    throw formFailure(error, (await stat(path)).mtimeMs);
  }
}

/** What a strategy makes of a model: the work of every device. */
export interface PlannedWork {
  readonly layout: Layout;
  readonly tasks: TaskGraph;
  /** By device: ids of its compute and update tasks, in order; every micro-batch is taken in it. */
  readonly orders: readonly (readonly number[])[];
}

/**
 * Builds and times the task graph of a strategy, as the search did. Every device gets the same result.
 * @param strategy valid for the graph and the cluster
 * @throws {Error} a sentence, where a message would be too large
 */
export function planWork(
  training: TrainingGraph,
  strategy: Strategy,
  cluster: Cluster,
  options: TaskOptions = {},
): PlannedWork {
  const tasks = buildTaskGraph(training, strategy, cluster, createRooflineCosts(), options);
  const problem = oversizedMessage(training.graph, tasks);
  if (problem !== undefined) throw new Error(problem);
  return { layout: layOut(training, strategy), tasks, orders: deviceOrders(tasks, simulate(tasks)) };
}

/** What the plan says of one step of a device, and the simulator of what it does not say; sums of gradients overlap, and are added up. */
export function predictedTimes(
  { tasks, layout: { accumulationSteps } }: PlannedWork,
  device: number,
  graph: Graph,
  planned: Plan['ops'],
): { readonly computeSeconds: number; readonly collectiveSeconds: number } {
  const iterationMs = predictedOpMs(tasks, graph, device, planned).reduce((sum, ms) => sum + ms, 0);
  let computeUs = 1000 * accumulationSteps * iterationMs;
  let collectiveUs = 0;
  for (const task of tasks.tasks) {
    if (task.kind === 'collective') collectiveUs += task.devices.includes(device) ? task.durationUs : 0;
    else if (task.kind === 'update' && task.device === device) computeUs += task.durationUs;
  }
  return { computeSeconds: computeUs / 1e6, collectiveSeconds: collectiveUs / 1e6 };
}

/** Steps a job trains: as given, or as many as its epochs take. */
export function stepCount(
  { steps, epochs = 1, batchSize }: Pick<TrainingSettings, 'steps' | 'epochs' | 'batchSize'>,
  samples: number,
): number {
  return steps ?? Math.ceil((epochs * samples) / batchSize);
}
