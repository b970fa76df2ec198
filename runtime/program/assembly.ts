import type { DType } from '../../soap/graph/graph.ts';
import type { Boxed, Region } from '../../soap/region/region.ts';
import { regionShape, regionVolume, sameRegion } from '../../soap/region/region.ts';
import { assembling } from '../../soap/tasks/assembly.ts';
import type { TensorBuffer, TensorMemory } from '../kernels/kernels.ts';
import type { Transport } from '../transport/transport.ts';
import type { WireElements } from '../wire/elements.ts';
import type { Allocator } from './drafts.ts';
import { RegionPath } from '../kernels/regions.ts';
import type { Stage } from './segments/stage.ts';
import { sumStage } from './segments/sum-stage.ts';

/** A box of a tensor that a task reads, and where it comes from: memory of this device, or a message of another. */
export type Source =
  | { readonly kind: 'local'; readonly region: Region; readonly from: Boxed<TensorBuffer> }
  | { readonly kind: 'remote'; readonly region: Region; readonly peer: number; readonly task: number };

/** Memory that is put together from its sources in each pass, always in the same order. */
export interface Assembly extends Boxed<TensorBuffer> {
  /** The kernel that completes the memory, where one can: it runs before the task that reads it, and nothing is to fill. */
  readonly stage: Stage | undefined;
  /** Whether {@link fill} waits for messages. */
  readonly receives: boolean;
  /** Memory of this device that {@link fill} reads. */
  readonly copies: readonly TensorBuffer[];
  /**
   * Completes the host's side of the memory for this pass; waits for messages that have not come. What {@link copies} has must
   * be downloaded before, and the memory uploaded after it. Undefined where kernels do all.
   */
  readonly fill: ((transport: Transport, pass: number, elements: WireElements) => Promise<void>) | undefined;
}

/** Memory that a task reads. */
interface Wanted {
  readonly frame: Region;
  /** Float32 where sources are added up. */
  readonly dtype: DType;
  readonly sources: readonly Source[];
  /** Whether sources are added up, as gradients of activations and partial sums are. */
  readonly sums: boolean;
}

/** Memory that something else fills. */
export function still(box: Boxed<TensorBuffer>): Assembly {
  return { ...box, stage: undefined, receives: false, copies: [], fill: undefined };
}

/**
 * Memory that is put together from sources, which are added up or each fill a place of their own; one local source of the same box is
 * used as it is, without a copy. See {@link assembling}, by which the planner has it too.
 */
export function assembled(allocator: Allocator, { frame, dtype, sources, sums }: Wanted): Assembly {
  const way = assembling(frame, sources, sums);
  if (way.kind === 'shared') return still({ frame, memory: way.memory });
  const target = { frame, memory: allocator.allocate(dtype, regionVolume(frame)) };
  if (way.kind === 'summed') return { ...still(target), stage: sumStage(regionShape(frame), way.terms, target.memory) };
  const { copies, receives } = way;
  const ways = sources.map((source): Way => ({
    source,
    count: regionVolume(source.region),
    path: new RegionPath(source.kind === 'local' ? source.from.frame : source.region, frame, source.region),
  }));
  return {
    ...target,
    stage: undefined,
    copies,
    receives,
    async fill(transport, pass, elements) {
      const from = { transport, pass, elements };
      await (sums ? sumInto(target, ways, from) : copyInto(target.memory, dtype, ways, from));
    },
  };
}

/** A source, and how what it has gets into the memory. */
interface Way {
  readonly source: Source;
  /** Elements of its region. */
  readonly count: number;
  readonly path: RegionPath;
}

/** What a pass fills memory from. */
interface Pass {
  readonly transport: Transport;
  readonly pass: number;
  readonly elements: WireElements;
}

async function copyInto(target: TensorBuffer, dtype: DType, ways: readonly Way[], from: Pass): Promise<void> {
  for (const way of ways) await useBox(way, dtype, from, (box) => way.path.copy(box, target.host));
}

async function sumInto(target: Boxed<TensorBuffer>, ways: readonly Way[], from: Pass): Promise<void> {
  const sum = floats(target.memory.host);
  const [first, ...others] = ways;
  const firstCovers = first !== undefined && sameRegion(first.source.region, target.frame);
  if (firstCovers) await useBox(first, 'float32', from, (box) => first.path.copy(box, sum));
  else sum.fill(0);
  for (const way of firstCovers ? others : ways)
    await useBox(way, 'float32', from, (box) => way.path.add(floats(box), sum, from.elements.addHere));
}

/** Lends the values of a source, which are read where they came: a message's are gone afterwards. */
async function useBox(
  { source, count }: Way,
  dtype: DType,
  from: Pass,
  use: (memory: TensorMemory) => void,
): Promise<void> {
  if (source.kind === 'local') {
    use(source.from.memory.host);
    return;
  }
  const { transport, pass, elements } = from;
  const tag = { step: pass, task: source.task, round: 0 };
  const isInt64 = dtype === 'int64';
  const elementBytes = isInt64 ? BigInt64Array.BYTES_PER_ELEMENT : elements.bytesPerElement;
  await transport.read(source.peer, tag, elementBytes * count, (bytes) => {
    use(isInt64 ? new BigInt64Array(bytes.buffer, bytes.byteOffset, count) : elements.unpack(bytes));
  });
}

/** Narrows memory that was allocated as float32. */
export function floats(memory: TensorMemory): Float32Array {
  if (memory instanceof Float32Array) return memory;
  throw new TypeError(`internal: expected float32 memory, got ${memory.constructor.name}`);
}
