import type { KernelEngine, TensorMemory } from '../../runtime/kernels/kernels.ts';
import { copyRegion } from '../../runtime/kernels/regions.ts';
import type { Model, Op } from '../../soap/graph/graph.ts';
import { partKernels, wholePart } from '../../soap/ops/kernel.ts';
import { regionVolume, wholeRegion } from '../../soap/region/region.ts';
import { allocateShared } from '../../runtime/kernels/host-memory.ts';
import { fill, runGraph } from './kernel-graphs.ts';
import { elementCount } from '../../soap/onnx/indexing.ts';

/**
 * Runs a model forward, every op in one part.
 * @param inputs by name, what the graph's inputs hold
 * @returns what its first output holds
 */
export async function runForward(
  { graph, weights }: Model,
  inputs: ReadonlyMap<string, TensorMemory>,
  engine: KernelEngine,
): Promise<TensorMemory> {
  const values = graph.tensors.map(({ name, shape, dtype, role }): TensorMemory => {
    const given = role === 'parameter' ? weights.get(name) : inputs.get(name);
    return role === 'activation' ? allocateShared(dtype, elementCount(shape)) : given!;
  });
  for (const op of graph.ops) await runOp(op);
  return values[graph.outputs[0]!]!;

  async function runOp(op: Op): Promise<void> {
    const part = wholePart(graph, op);
    const { main } = partKernels(graph, op, part, []).forward;
    const memory: Record<string, TensorMemory> = {};
    op.inputs.forEach((id, i) => {
      const { shape, dtype } = graph.tensors[id]!;
      const region = part.inputs[i]!;
      const read = allocateShared(dtype, regionVolume(region));
      copyRegion({ memory: values[id]!, frame: wholeRegion(shape) }, { memory: read, frame: region }, region);
      memory[`input${i}`] = read;
    });
    const results = await runGraph(engine, main, memory);
    op.outputs.forEach((id, i) => fill(values[id]!, results[`output${i}`]!));
  }
}
