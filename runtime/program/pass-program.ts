import type { OnnxGraph } from '../../soap/onnx/model.ts';
import type { PassKernels } from '../../soap/ops/kernel.ts';
import type { Layout, PlacedPart } from '../../soap/tasks/layout.ts';
import type { KernelEngine, TensorBuffer } from '../kernels/kernels.ts';
import type { Assembly } from './assembly.ts';
import type { Drafts } from './drafts.ts';
import type { Flow } from './flow.ts';
import { Gathering } from './gathering.ts';
import type { NamedMemory, Stage } from './segments/stage.ts';

/** One direction of a part: its `statistics` stage, where it has one, and its `main` stage. */
export interface PassProgram {
  /** What to complete before the first stage. */
  readonly inputs: readonly Assembly[];
  readonly statistics: StatisticsProgram | undefined;
  readonly main: Stage;
}

/** What a part tells the others of its group. */
export interface StatisticsProgram {
  readonly stage: Stage;
  readonly vector: TensorBuffer;
  readonly gathering: Gathering;
}

export interface PassContext {
  readonly layout: Layout;
  readonly flow: Flow;
  readonly device: number;
  /** Gives out what is kept. */
  readonly engine: KernelEngine;
  /** Gives out what is needed for some time. */
  readonly drafts: Drafts;
}

/** Gives the kernels of passes their memory; parts of a group that are on this device share what they gather. */
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
    const memory: Record<string, TensorBuffer> = { ...given };
    const statistics = kernels.statistics && this.#statistics(direction, part, kernels.statistics, memory);
    if (statistics !== undefined) memory['gathered'] = statistics.gathering.memory;
    const main = this.#stage(kernels.main, memory);
    return { pass: { inputs, statistics, main }, memory };
  }

  #statistics(
    direction: 'forward' | 'backward',
    part: PlacedPart,
    graph: OnnxGraph,
    memory: Record<string, TensorBuffer>,
  ): StatisticsProgram {
    const stage = this.#stage(graph, memory);
    const vector = memory['statistics']!;
    // Its messages may be on their way for as long as the pass.
    this.#context.drafts.keep(vector);
    return { stage, vector, gathering: this.#gathering(direction, part, vector.length) };
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

  #stage(graph: OnnxGraph, memory: Record<string, TensorBuffer>): Stage {
    const { drafts } = this.#context;
    for (const { name, dtype, shape } of graph.outputs) memory[name] ??= drafts.allocate(dtype, volume(shape));
    return { graph, memory: { ...memory } };
  }
}

function volume(shape: readonly (number | string)[]): number {
  return shape.reduce<number>((product, extent) => product * Number(extent), 1);
}
