import type { KernelEngine, TensorMemory } from '../../runtime/kernels/kernels.ts';
import type { Model } from '../../soap/graph/graph.ts';
import { partKernels, wholePart } from '../../soap/ops/kernel.ts';
import type { Region } from '../../soap/strategy/region.ts';
import { sizeOf } from '../kernels/graphs.ts';

/**
 * Runs the forward pass of a model in one part, op by op.
 * @param inputs by name, row-major
 * @returns every tensor, by id
 */
export async function runGraph(
  { graph, weights }: Model,
  inputs: Readonly<Record<string, readonly number[]>>,
  engine: KernelEngine,
): Promise<TensorMemory[]> {
  const tensors: TensorMemory[] = graph.tensors.map(({ name, shape, dtype, role }) => {
    const memory = engine.allocate(dtype, sizeOf(shape));
    const values = role === 'input' ? inputs[name] : role === 'parameter' ? weights.get(name) : undefined;
    if (values !== undefined) {
      for (const [i, value] of values.entries()) {
        if (memory instanceof BigInt64Array) memory[i] = BigInt(value);
        else memory[i] = value;
      }
    }
    return memory;
  });
  for (const op of graph.ops) {
    const part = wholePart(graph, op);
    const { main } = partKernels(graph, op, part, []).forward;
    const memory: Record<string, TensorMemory> = {};
    for (const { name, dtype, shape } of main.outputs) memory[name] = engine.allocate(dtype, sizeOf(shape.map(Number)));
    op.outputs.forEach((id, output) => (memory[`output${output}`] = tensors[id]!));
    op.inputs.forEach((id, input) => {
      const { shape, dtype } = graph.tensors[id]!;
      const region = part.inputs[input];
      if (region === undefined) return;
      const box = engine.allocate(dtype, sizeOf(region.map(([start, end]) => end - start)));
      copyBox(tensors[id]!, shape, region, box);
      memory[`input${input}`] = box;
    });
    const names = [...main.inputs, ...main.outputs].map(({ name }) => name);
    const kernel = engine.compile(main);
    const bound = kernel.bind(Object.fromEntries(names.map((name) => [name, memory[name]!])));
    await bound.run();
    kernel.release();
  }
  return tensors;
}

function copyBox(from: TensorMemory, shape: readonly number[], region: Region, to: TensorMemory): void {
  const starts = region.reduce<number[]>(
    (bases, [start, end], axis) =>
      bases.flatMap((base) => Array.from({ length: end - start }, (_, k) => base * shape[axis]! + start + k)),
    [0],
  );
  starts.forEach((position, i) => (to[i] = from[position]!));
}
