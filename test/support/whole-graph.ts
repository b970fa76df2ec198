import type { KernelEngine, TensorMemory } from '../../runtime/kernels/kernels.ts';
import type { Model, Op } from '../../soap/graph/graph.ts';
import type { OnnxGraph } from '../../soap/onnx/model.ts';
import type { PartKernels } from '../../soap/ops/kernel.ts';
import { partKernels, wholePart } from '../../soap/ops/kernel.ts';
import type { Part } from '../../soap/ops/op.ts';
import type { Region } from '../../soap/region/region.ts';
import { fill, runGraph } from './kernel-graphs.ts';
import { allocateShared } from '../../runtime/kernels/host-memory.ts';
import { elementCount } from '../../soap/onnx/indexing.ts';

type Memories = Record<string, TensorMemory>;

/** An op that has run forward. */
interface OpRun {
  readonly op: Op;
  readonly part: Part;
  readonly kernels: PartKernels;
  /** What its kernels read and write, by name. */
  readonly memory: Memories;
}

/** A model in one part, op by op. */
export interface GraphRun {
  /** Every tensor, by id. */
  readonly tensors: readonly TensorMemory[];
  /** Runs back from the gradient of the first result. Returns the gradients of all tensors, by id; zeros where there are none. */
  readonly backward: (gradient: ArrayLike<number>) => Promise<readonly Float64Array[]>;
}

/**
 * Runs the forward pass of a model in one part.
 * @param inputs by name, row-major
 */
export async function runWholeGraph(
  { graph, weights }: Model,
  inputs: Readonly<Record<string, ArrayLike<number | bigint>>>,
  engine: KernelEngine,
): Promise<GraphRun> {
  const tensors = graph.tensors.map(({ name, shape, dtype, role }) => {
    const memory = allocateShared(dtype, elementCount(shape));
    const values = role === 'input' ? inputs[name] : role === 'parameter' ? weights.get(name) : undefined;
    fill(memory, values ?? []);
    return memory;
  });
  const runs: OpRun[] = [];
  for (const op of graph.ops) {
    const part = wholePart(graph, op);
    const isReal = (id: number): boolean => graph.tensors[id]!.dtype === 'float32';
    const wants = op.inputs.map((id) => isReal(id) && op.outputs.some(isReal));
    const kernels = partKernels(graph, op, part, wants);
    const memory: Memories = {};
    op.inputs.forEach((id, input) => {
      const region = part.inputs[input];
      if (region === undefined) return;
      const at = positions(graph.tensors[id]!.shape, region);
      const box = allocateShared(graph.tensors[id]!.dtype, at.length);
      at.forEach((position, i) => (box[i] = tensors[id]![position]!));
      memory[`input${input}`] = box;
    });
    op.outputs.forEach((id, output) => (memory[`output${output}`] = tensors[id]!));
    await run(kernels.forward.main, memory, engine);
    runs.push({ op, part, kernels, memory });
  }
  const backward = async (gradient: ArrayLike<number>): Promise<readonly Float64Array[]> => {
    const gradients = graph.tensors.map(({ shape }) => new Float64Array(elementCount(shape)));
    gradients[graph.outputs[0]!]!.set(Array.from(gradient));
    for (const { op, part, kernels, memory } of runs.toReversed()) {
      if (kernels.backward === undefined) continue;
      op.outputs.forEach((id, output) => (memory[`gradOutput${output}`] = Float32Array.from(gradients[id]!)));
      await run(kernels.backward.main, memory, engine);
      op.inputs.forEach((id, input) => {
        const box = memory[`gradInput${input}`];
        if (box === undefined) return;
        const at = positions(graph.tensors[id]!.shape, part.inputs[input]!);
        at.forEach((position, i) => (gradients[id]![position]! += Number(box[i])));
      });
    }
    return gradients;
  };
  return { tensors, backward };
}

/** Runs a kernel on memory that has its inputs; outputs that are not there are added. */
async function run(graph: OnnxGraph, memory: Memories, engine: KernelEngine): Promise<void> {
  for (const [name, values] of Object.entries(await runGraph(engine, graph, memory))) {
    const target = memory[name];
    if (target === undefined) memory[name] = values;
    else fill(target, values);
  }
}

/** Row-major indices into the whole tensor of the elements of a box. */
function positions(shape: readonly number[], region: Region): number[] {
  return region.reduce<number[]>(
    (bases, [start, end], axis) =>
      bases.flatMap((base) => Array.from({ length: end - start }, (_, k) => base * shape[axis]! + start + k)),
    [0],
  );
}
