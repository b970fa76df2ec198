import { updateOf } from '../../soap/cost/measured.ts';
import type { TaskWork } from '../../soap/cost/cost-source.ts';
import { workKey } from '../../soap/cost/cost-table.ts';
import type { TrainingGraph } from '../../soap/graph/loss.ts';
import type { Graph, Op } from '../../soap/graph/graph.ts';
import type { OptimizerSettings } from '../../soap/job/training-job.ts';
import type { OnnxGraph } from '../../soap/onnx/model.ts';
import { opDefinition, opDimensions } from '../../soap/ops/index.ts';
import { opPart, partKernels } from '../../soap/ops/kernel.ts';
import { divisorsUpTo } from '../../soap/strategy/divisors.ts';
import { partRanges, partsOf } from '../../soap/strategy/partition.ts';
import { gradientTensors } from '../../soap/tasks/layout.ts';
import { BYTES_PER_ELEMENT, partWork, statisticsWork, updateWork } from '../../soap/tasks/work.ts';
import { createOptimizer, pieceLengths } from '../optimizers/optimizer.ts';

/** A kernel as the runtime runs it, and the work that the simulator knows it as. */
export interface WorkKernel {
  readonly work: TaskWork;
  /** Made when it is asked for: a model has thousands. */
  graph(): OnnxGraph;
}

/**
 * The kernels of all tasks that a model may come to on so many devices: of every op in every split into at most so many parts,
 * and of updates of shards of the same splits. Each distinct work once; of alike parts the first.
 */
export function workKernels(
  { graph }: Pick<TrainingGraph, 'graph'>,
  devices: number,
  optimizer: OptimizerSettings,
): WorkKernel[] {
  const kernels = new Map<string, WorkKernel>();
  const add = (kernel: WorkKernel): void => {
    const key = workKey(kernel.work);
    if (!kernels.has(key)) kernels.set(key, kernel);
  };
  const wanted = gradientTensors(graph);
  for (const op of graph.ops) {
    const wants = op.inputs.map((tensor) => wanted[tensor]!);
    for (const degrees of splits(graph, op, devices))
      for (const kernel of partsKernels(graph, op, degrees, wants)) add(kernel);
  }
  for (const elements of shardSizes(graph, devices)) add(updateKernelOf(elements, optimizer));
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
      yield { work: partWork(part, op, direction, wants), graph: () => pass.main };
      const { statistics } = pass;
      if (statistics !== undefined) yield { work: statisticsWork(part, op, direction), graph: () => statistics };
    }
  }
}

function updateKernelOf(elements: number, settings: OptimizerSettings): WorkKernel {
  return {
    work: updateOf(updateWork(elements * BYTES_PER_ELEMENT), settings.name),
    graph: () => createOptimizer(settings, false).kernel(pieceLengths(elements)),
  };
}

/** Elements of parameters, and of even parts of them. */
function shardSizes({ tensors }: Graph, devices: number): Set<number> {
  const sizes = new Set<number>();
  for (const { role, shape } of tensors) {
    if (role !== 'parameter') continue;
    const elements = shape.reduce((product, extent) => product * extent, 1);
    for (const parts of divisorsUpTo(elements, devices)) sizes.add(elements / parts);
  }
  return sizes;
}
