import type { OnnxGraph } from '../../soap/onnx/model.ts';
import type { PassKernels } from '../../soap/ops/kernel.ts';
import type { Layout, PlacedPart } from '../../soap/tasks/layout.ts';
import type { BoundKernel, KernelEngine, TensorMemory } from '../kernels/kernels.ts';
import type { Transport } from '../transport/transport.ts';
import type { Assembly } from './assembly.ts';
import { floats } from './assembly.ts';
import type { Flow } from './flow.ts';
import { Gathering } from './gathering.ts';
import type { KernelCache } from './kernel-cache.ts';

/** Memory by the names that kernels give it. */
export type NamedMemory = Readonly<Record<string, TensorMemory>>;

/** One direction of a part, ready to run: its `statistics` stage, where it has one, and its `main` stage. */
export interface PassProgram {
  /** What to complete before the first stage. */
  readonly inputs: readonly Assembly[];
  readonly statistics: StatisticsProgram | undefined;
  readonly main: BoundKernel;
}

/** What a part tells the others of its group. */
export interface StatisticsProgram {
  readonly kernel: BoundKernel;
  readonly vector: Float32Array;
  readonly gathering: Gathering;
}

/** Binds the kernels of passes; parts of a group that are on this device share what they gather. */
export class PassBinder {
  readonly #context: PassContext;
  readonly #gatherings = new Map<string, Gathering>();

  constructor(context: PassContext) {
    this.#context = context;
  }

  /** Allocates what the kernels write that `memory` lacks. Returns the pass and all memory. */
  bind(
    direction: 'forward' | 'backward',
    part: PlacedPart,
    kernels: PassKernels,
    inputs: readonly Assembly[],
    given: NamedMemory,
  ): { readonly pass: PassProgram; readonly memory: NamedMemory } {
    const memory: Record<string, TensorMemory> = { ...given };
    const statistics = kernels.statistics && this.#statistics(direction, part, kernels.statistics, memory);
    if (statistics !== undefined) memory['gathered'] = statistics.gathering.memory;
    const main = this.#kernel(kernels.main, memory);
    return { pass: { inputs, statistics, main }, memory };
  }

  #statistics(
    direction: 'forward' | 'backward',
    part: PlacedPart,
    graph: OnnxGraph,
    memory: Record<string, TensorMemory>,
  ): StatisticsProgram {
    const kernel = this.#kernel(graph, memory);
    const vector = floats(memory['statistics']!);
    return { kernel, vector, gathering: this.#gathering(direction, part, vector.length) };
  }

  #gathering(direction: 'forward' | 'backward', part: PlacedPart, size: number): Gathering {
    const { layout, flow, engine, device } = this.#context;
    const group = layout.groups[part.op]![part.index]!;
    const key = [direction, part.op, group[0]!.index].join(' ');
    const known = this.#gatherings.get(key);
    if (known !== undefined) return known;
    const gathering = new Gathering({ engine, device, group, size, task: flow.gather(direction, group) });
    this.#gatherings.set(key, gathering);
    return gathering;
  }

  #kernel(graph: OnnxGraph, memory: Record<string, TensorMemory>): BoundKernel {
    const { engine, kernels } = this.#context;
    for (const { name, dtype, shape } of graph.outputs) memory[name] ??= engine.allocate(dtype, volume(shape));
    const bound = [...graph.inputs, ...graph.outputs].map(({ name }) => [name, memory[name]!]);
    return kernels.get(graph).bind(Object.fromEntries(bound));
  }
}

export interface PassContext {
  readonly layout: Layout;
  readonly flow: Flow;
  readonly device: number;
  readonly engine: KernelEngine;
  readonly kernels: KernelCache;
}

/** Runs the `statistics` stage: what the part reads must come first. The vector goes its way in the returned promise. */
export async function runStatistics(
  { inputs, statistics }: PassProgram,
  part: PlacedPart,
  steps: StageSteps,
): Promise<void> {
  const { kernel, vector, gathering } = statistics!;
  for (const input of inputs) await steps.wait(input.fill(steps.transport, steps.pass));
  await steps.compute(kernel);
  steps.send(gathering.share(part.index, vector, steps.transport, steps.pass));
}

/** Runs the `main` stage, which is all of a pass without statistics. */
export async function runMain({ inputs, statistics, main }: PassProgram, steps: StageSteps): Promise<void> {
  if (statistics === undefined) for (const input of inputs) await steps.wait(input.fill(steps.transport, steps.pass));
  else await steps.wait(statistics.gathering.fill(steps.transport, steps.pass));
  await steps.compute(main);
}

/** How a stage computes, waits and sends; the device keeps the time. */
export interface StageSteps {
  readonly transport: Transport;
  readonly pass: number;
  compute(kernel: BoundKernel): Promise<void>;
  wait(event: Promise<void>): Promise<void>;
  send(sent: Promise<void>): void;
}

export function releasePass({ statistics, main }: PassProgram): void {
  statistics?.kernel.release();
  main.release();
}

function volume(shape: readonly (number | string)[]): number {
  return shape.reduce<number>((product, extent) => product * Number(extent), 1);
}
