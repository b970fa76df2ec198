import type { SharedGradients } from '../collectives/shared-gradients.ts';
import { termOrder } from '../collectives/term-order.ts';
import type { Layout, PlacedPart } from '../../soap/tasks/layout.ts';
import { gradientSources } from '../../soap/tasks/build.ts';
import type { ParameterShard } from '../../soap/tasks/task-graph.ts';
import { sameRegion } from '../../soap/strategy/region.ts';
import type { KernelEngine, TensorBuffer } from '../kernels/kernels.ts';

/** Elements of a shard, and the buffers of the whole shard whose sum there, in this order, is the gradient. */
export interface TermRun {
  readonly start: number;
  readonly end: number;
  readonly terms: readonly TensorBuffer[];
}

/** The gradients of a device that lie in memory which other devices read. */
export class GradientMemory {
  readonly #own = new Map<number, TensorBuffer>();
  readonly #runs = new Map<number, readonly TermRun[]>();
  /** By part, then input. */
  readonly #places = new Map<PlacedPart, Map<number, TensorBuffer>>();

  constructor(layout: Layout, device: number, { adopt }: KernelEngine, shared: SharedGradients | undefined) {
    for (const shard of layout.shards) {
      const { collective, terms } = shared?.shard(shard.id) ?? {};
      if (collective === undefined || terms === undefined || adopt === undefined) continue;
      const buffers = new Map([...terms].map(([each, memory]) => [each, adopt(memory, 'float32')]));
      const own = buffers.get(device)!;
      this.#own.set(shard.id, own);
      const runs = termOrder(collective, own.length);
      this.#runs.set(
        shard.id,
        runs.map(({ order, ...run }) => ({ ...run, terms: order.map((each) => buffers.get(each)!) })),
      );
      const reader = onlyReader(layout, shard, device);
      if (reader === undefined) continue;
      const places = this.#places.get(reader.part) ?? new Map<number, TensorBuffer>();
      this.#places.set(reader.part, places.set(reader.input, own));
    }
  }

  /** Where this device's term of a shard's gradient is to be; undefined where any memory will do. */
  ofShard(shard: number): TensorBuffer | undefined {
    return this.#own.get(shard);
  }

  /** The same for the gradient of an input, where it is the term of a shard. */
  ofInput(part: PlacedPart, input: number): TensorBuffer | undefined {
    return this.#places.get(part)?.get(input);
  }

  /** What makes up a shard's gradient. @param summed its memory, where it is whole there */
  runsOf(shard: number, summed: TensorBuffer): readonly TermRun[] {
    return this.#runs.get(shard) ?? [{ start: 0, end: summed.length, terms: [summed] }];
  }
}

/** The one input of a part on the device that reads a shard, and no more than it; undefined where there is no such one. */
function onlyReader(
  layout: Layout,
  { tensor, region }: ParameterShard,
  device: number,
): { readonly part: PlacedPart; readonly input: number } | undefined {
  const parts = new Set(gradientSources(layout, tensor, region).filter((part) => part.device === device));
  const readers = [...parts].flatMap((part) =>
    layout.graph.ops[part.op]!.inputs.flatMap((id, input) => (id === tensor ? [{ part, input }] : [])),
  );
  const [only] = readers;
  if (readers.length !== 1 || only === undefined) return undefined;
  const box = only.part.inputs[only.input];
  return box !== undefined && sameRegion(box, region) ? only : undefined;
}
