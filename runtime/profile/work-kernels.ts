import { updateOf } from '../../soap/cost/measured.ts';
import type { TaskWork } from '../../soap/cost/task-work.ts';
import { workKey } from '../../soap/cost/cost-table.ts';
import type { TrainingGraph } from '../../soap/training/loss.ts';
import type { Graph, Op } from '../../soap/graph/graph.ts';
import { isTrained } from '../../soap/graph/graph.ts';
import type { OptimizerSettings } from '../../soap/job/training-job.ts';
import type { OnnxGraph } from '../../soap/onnx/model.ts';
import { opDefinition, opDimensions } from '../../soap/ops/index.ts';
import { opPart, partKernels } from '../../soap/ops/kernel.ts';
import { divisorsUpTo } from '../../soap/region/divisors.ts';
import { partRanges, partsOf } from '../../soap/strategy/partition.ts';
import { inputGradients } from '../../soap/graph/input-gradients.ts';
import { accumulateWork, gradientHandling, squaresWork, updateWork } from '../../soap/tasks/gradient-work.ts';
import { BYTES_PER_ELEMENT, partWork, statisticsWork } from '../../soap/tasks/work.ts';
import type { KernelEngine } from '../kernels/kernels.ts';
import { addKernel } from '../optimizers/accumulation.ts';
import { createOptimizer, pieceLengths, updateRunElements } from '../optimizers/optimizer.ts';
import { squareSums } from '../optimizers/square-sums.ts';
import { elementCount } from '../../soap/onnx/indexing.ts';

/** What of an engine decides how work is cut for it. */
export type EngineTraits = Pick<KernelEngine, 'concurrency' | 'cut'>;

/** A kernel as the runtime runs it, and the work that the simulator knows it as. */
export interface WorkKernel {
  readonly work: TaskWork;
  /**
   * What the runtime runs for it, at once, on an engine; where that takes one run at a time, a single one. Made when it is asked
   * for: a model has thousands.
   */
  graphs(engine: EngineTraits): OnnxGraph[];
}

/**
 * The kernels of all tasks that a model may come to on so many devices: of every op in every split into at most so many parts,
 * and of what is done with gradients of shards of the same splits. Each distinct work once; of alike parts the first.
 */
export function workKernels(training: TrainingGraph, devices: number, optimizer: OptimizerSettings): WorkKernel[] {
  const { graph } = training;
  const kernels = new Map<string, WorkKernel>();
  const add = (kernel: WorkKernel): void => {
    const key = workKey(kernel.work);
    if (!kernels.has(key)) kernels.set(key, kernel);
  };
  const gradients = inputGradients(graph);
  for (const op of graph.ops) {
    const wants = gradients[op.id]!;
    for (const degrees of splits(graph, op, devices))
      for (const kernel of partsKernels(graph, op, degrees, wants)) add(kernel);
  }
  for (const elements of shardSizes(graph, devices)) shardKernels(elements, training, optimizer).forEach(add);
  return [...kernels.values()];
}

/** All degrees of an op's dimensions that make at most so many parts. */
function splits(graph: Graph, op: Op, devices: number): number[][] {
  return opDimensions(graph, op).reduce<number[][]>(
    (lists, { size }) =>
      lists.flatMap((degrees) =>
        divisorsUpTo(size, Math.floor(devices / partsOf(degrees))).map((degree) => [...degrees, degree]),
      ),
    [[]],
  );
}

function* partsKernels(
  graph: Graph,
  op: Op,
  degrees: readonly number[],
  wants: readonly boolean[],
): Generator<WorkKernel> {
  const dimensions = opDimensions(graph, op);
  const over = opDefinition(op.kind).statistics?.over ?? [];
  const group = partsOf(degrees.filter((_, i) => over.includes(dimensions[i]!.name)));
  for (const ranges of partRanges(dimensions, degrees)) {
    const part = opPart(graph, op, ranges);
    const passes = partKernels(graph, op, part, wants, group);
    for (const direction of ['forward', 'backward'] as const) {
      const pass = passes[direction];
      if (pass === undefined) continue;
      yield { work: partWork(part, op, direction, wants), graphs: () => [pass.main] };
      const { statistics } = pass;
      if (statistics !== undefined) yield { work: statisticsWork(part, op, direction), graphs: () => [statistics] };
    }
  }
}

/** What is done with the gradient of a shard: its update, and what micro-batches and clipping take beside that. */
export function shardKernels(elements: number, training: TrainingGraph, settings: OptimizerSettings): WorkKernel[] {
  const clipsGradients = settings.gradientClipNorm !== undefined;
  const { accumulationSteps, isScaled, isClipped } = gradientHandling(training, { clipsGradients });
  const bytes = elements * BYTES_PER_ELEMENT;
  const update: WorkKernel = {
    work: updateOf(updateWork(bytes, isScaled), settings.name),
    graphs: ({ concurrency = 1, cut }) => {
      if (cut === undefined) return [createOptimizer(settings, isScaled).kernel([elements])];
      const size = concurrency === 1 ? elements : updateRunElements(elements, concurrency);
      const runs = Array.from({ length: Math.ceil(elements / size) }, (_, i) => Math.min(size, elements - i * size));
      return runs.map((each) => createOptimizer(settings, isScaled).kernel(pieceLengths(each)));
    },
  };
  // Before a gradient that several devices have terms of is squared, they are added up.
  const adding: WorkKernel = { work: accumulateWork(bytes), graphs: () => [addKernel(elements)] };
  const squaring: WorkKernel = { work: squaresWork(bytes), graphs: () => [squareSums(elements)] };
  return [update, ...(accumulationSteps > 1 || isClipped ? [adding] : []), ...(isClipped ? [squaring] : [])];
}

/** Elements of parameters that are trained, and of even parts of them. */
function shardSizes({ tensors }: Graph, devices: number): Set<number> {
  const sizes = new Set<number>();
  for (const tensor of tensors) {
    if (!isTrained(tensor)) continue;
    const elements = elementCount(tensor.shape);
    for (const parts of divisorsUpTo(elements, devices)) sizes.add(elements / parts);
  }
  return sizes;
}
