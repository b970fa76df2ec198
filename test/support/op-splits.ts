import type { KernelEngine, TensorMemory } from '../../runtime/kernels/kernels.ts';
import { KernelCache } from '../../runtime/program/kernel-cache.ts';
import type { OnnxDType, OnnxGraph } from '../../soap/onnx/model.ts';
import type { PartKernels, PassKernels } from '../../soap/ops/kernel.ts';
import { partKernels } from '../../soap/ops/kernel.ts';
import { MASK } from '../../soap/ops/emitter.ts';
import { opDimensions } from '../../soap/ops/index.ts';
import { divisorsUpTo } from '../../soap/region/divisors.ts';
import type { Region } from '../../soap/region/region.ts';
import type { PlacedPart } from '../../soap/tasks/layout.ts';
import { layOut } from '../../soap/tasks/layout.ts';
import { allocateShared } from '../../runtime/kernels/host-memory.ts';
import { runKernel as runOn } from './kernel-graphs.ts';
import { inFloat64 } from './float64-kernel.ts';
import type { BuiltCase } from './op-case.ts';
import { elementCount } from '../../soap/onnx/indexing.ts';

/** What an op computes: whole tensors, row-major. */
export interface OpResult {
  readonly outputs: readonly Float64Array[];
  /** By input; undefined where it has no gradient. */
  readonly gradInputs: readonly (Float64Array | undefined)[];
}

/** How kernels are run: by which engine, and whether in float64 in place of float32. */
export interface Runner {
  readonly engine: KernelEngine;
  readonly float64?: boolean;
}

const MOST_PARTS = 16;

/** The whole, and the finest split along each dimension alone. */
export function splitsAlongOne({ graph, op }: BuiltCase): number[][] {
  const dimensions = opDimensions(graph, op);
  const whole = dimensions.map(() => 1);
  return [whole, ...dimensions.map(({ size }, i) => whole.with(i, divisorsUpTo(size, MOST_PARTS).at(-1)!))];
}

/** A part under way. */
interface PartRun {
  readonly part: PlacedPart;
  readonly group: readonly number[];
  readonly kernels: PartKernels;
  /** Everything that the part's kernels read and write, by name. */
  readonly memory: Record<string, TensorMemory>;
}

/**
 * Runs an op in parts: cuts the inputs, runs each part's kernels, lets groups gather their statistics, adds what the parts
 * write into whole tensors.
 * @param degrees parts per dimension; all 1 runs the op whole
 * @throws {Error} where the parts' boxes do not cover each output as often as partial sums overlap
 */
export async function runSplit(built: BuiltCase, degrees: readonly number[], runner: Runner): Promise<OpResult> {
  const runs = partRuns(built, degrees, runner);
  const compiled = new KernelCache(runner.engine);
  await runDirection('forward', runs, runner, compiled);
  checkCover(built, degrees, runs);
  const outputs = built.op.outputs.map((id, index) => {
    const pieces = runs.map(({ part, memory }) => ({
      region: part.outputs[index]!,
      memory: memory[`output${index}`]!,
    }));
    return assemble(built.graph.tensors[id]!.shape, pieces);
  });
  if (built.wants.includes(true)) await runDirection('backward', runs, runner, compiled);
  compiled.release();
  const gradInputs = built.op.inputs.map((id, index) => {
    if (!built.wants[index]) return undefined;
    const pieces = runs.flatMap(({ part, memory }) => {
      const region = part.inputs[index];
      return region === undefined ? [] : [{ region, memory: memory[`gradInput${index}`]! }];
    });
    return assemble(built.graph.tensors[id]!.shape, pieces);
  });
  return { outputs, gradInputs };
}

/** Runs an op in one part. */
export function runWhole(built: BuiltCase, runner: Runner): Promise<OpResult> {
  return runSplit(
    built,
    opDimensions(built.graph, built.op).map(() => 1),
    runner,
  );
}

function partRuns(built: BuiltCase, degrees: readonly number[], { float64 = false }: Runner): PartRun[] {
  const { graph, op } = built;
  const devices = Array.from({ length: elementCount(degrees) }, () => 0);
  const layout = layOut({ graph }, { configs: [{ degrees, devices }] });
  return layout.parts[0]!.map((part, index): PartRun => {
    const group = layout.groups[0]![index]!.map((member) => member.index);
    const kernels = converted(partKernels(graph, op, part, built.wants, group.length), float64);
    const memory: Record<string, TensorMemory> = {};
    op.inputs.forEach((id, input) => {
      const { shape, dtype } = graph.tensors[id]!;
      const region = part.inputs[input];
      if (region === undefined) return;
      memory[`input${input}`] = cut(
        built.inputs[input]!,
        shape,
        region,
        float64 && dtype === 'float32' ? 'float64' : dtype,
      );
    });
    if (built.mask !== undefined)
      memory[MASK] = cut(built.mask, graph.tensors[op.outputs[0]!]!.shape, part.output, 'uint8');
    op.outputs.forEach((id, output) => {
      const { shape } = graph.tensors[id]!;
      const values = built.gradOutputs[output]!;
      memory[`gradOutput${output}`] = cut(values, shape, part.outputs[output]!, float64 ? 'float64' : 'float32');
    });
    return { part, group, kernels, memory };
  });
}

function converted(kernels: PartKernels, float64: boolean): PartKernels {
  const pass = ({ statistics, main }: PassKernels): PassKernels => ({
    statistics: statistics && inFloat64(statistics),
    main: inFloat64(main),
  });
  if (!float64) return kernels;
  return { forward: pass(kernels.forward), backward: kernels.backward && pass(kernels.backward) };
}

async function runDirection(
  direction: 'forward' | 'backward',
  runs: readonly PartRun[],
  runner: Runner,
  compiled: KernelCache,
): Promise<void> {
  for (const { kernels, memory } of runs) {
    const statistics = kernels[direction]?.statistics;
    if (statistics !== undefined) await runKernel(statistics, memory, runner, compiled);
  }
  for (const { group, memory, kernels } of runs) {
    if (kernels[direction]?.statistics === undefined) continue;
    const vectors = group.map((index) => runs[index]!.memory['statistics']!);
    const floats = vectors[0]!.length;
    const gathered = allocateShared(runner.float64 === true ? 'float64' : 'float32', group.length * floats);
    vectors.forEach((vector, i) => vector.forEach((value, k) => (gathered[i * floats + k] = value)));
    memory['gathered'] = gathered;
  }
  for (const { kernels, memory } of runs) {
    const main = kernels[direction]?.main;
    if (main !== undefined) await runKernel(main, memory, runner, compiled);
  }
}

/** Runs a kernel on the memory of its part; what it writes is added to that memory. */
async function runKernel(
  graph: OnnxGraph,
  memory: Record<string, TensorMemory>,
  { engine }: Runner,
  compiled: KernelCache,
): Promise<void> {
  Object.assign(memory, await runOn(engine, compiled.get(graph), graph, memory));
}

/** Each element of an output is written by as many parts as hold partial sums of it. */
function checkCover({ graph, op }: BuiltCase, degrees: readonly number[], runs: readonly PartRun[]): void {
  const dimensions = opDimensions(graph, op);
  const partial = elementCount(degrees.filter((_, i) => dimensions[i]!.axis === undefined));
  op.outputs.forEach((id, index) => {
    const { shape } = graph.tensors[id]!;
    const pieces = runs.map(({ part }) => {
      const region = part.outputs[index]!;
      return { region, memory: new Float32Array(volume(region)).fill(1) };
    });
    const odd = assemble(shape, pieces).findIndex((count) => count !== partial);
    if (odd >= 0)
      throw new Error(`element ${odd} of output ${index} is not written by ${partial} parts of [${degrees}]`);
  });
}

function volume(region: Region): number {
  return elementCount(region.map(([start, end]) => end - start));
}

function cut(values: readonly number[], shape: readonly number[], region: Region, dtype: OnnxDType): TensorMemory {
  const memory = allocateShared(dtype, volume(region));
  let at = 0;
  for (const position of positionsIn(shape, region)) {
    const value = values[position]!;
    if (memory instanceof BigInt64Array) memory[at++] = BigInt(value);
    else memory[at++] = value;
  }
  return memory;
}

/** The sum of pieces of a tensor. */
function assemble(
  shape: readonly number[],
  pieces: readonly { readonly region: Region; readonly memory: TensorMemory }[],
): Float64Array {
  const whole = new Float64Array(elementCount(shape));
  for (const { region, memory } of pieces) {
    let at = 0;
    for (const position of positionsIn(shape, region)) whole[position]! += Number(memory[at++]);
  }
  return whole;
}

/** Row-major indices into the whole tensor of the elements of a box. */
function positionsIn(shape: readonly number[], region: Region): number[] {
  return region.reduce<number[]>(
    (starts, [start, end], axis) =>
      starts.flatMap((base) => Array.from({ length: end - start }, (_, k) => base * shape[axis]! + start + k)),
    [0],
  );
}
