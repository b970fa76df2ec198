import type { DType } from '../../soap/graph/graph.ts';
import type { Region } from '../../soap/strategy/region.ts';
import { regionShape, regionVolume, sameRegion } from '../../soap/strategy/region.ts';
import type { TensorBuffer, TensorMemory } from '../kernels/kernels.ts';
import type { Transport } from '../transport/transport.ts';
import type { WireElements } from '../wire/elements.ts';
import type { Allocator } from './drafts.ts';
import type { Boxed } from './regions.ts';
import { addRegion, copyRegion, onHost } from './regions.ts';
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

/** Memory that something else fills. */
export function still(box: Boxed<TensorBuffer>): Assembly {
  return { ...box, stage: undefined, receives: false, copies: [], fill: undefined };
}

/**
 * Memory whose every element comes from exactly one source: an input of a task. One local source of the same box is used
 * as it is, without a copy.
 */
export function gatherOf(allocator: Allocator, frame: Region, dtype: DType, sources: readonly Source[]): Assembly {
  const shared = sharedMemory(frame, sources);
  if (shared !== undefined) return still({ frame, memory: shared });
  const target = { frame, memory: allocator.allocate(dtype, regionVolume(frame)) };
  return {
    ...target,
    ...needsOf(sources),
    async fill(transport, pass, elements) {
      for (const source of sources) {
        await useBox(source, dtype, { transport, pass, elements }, (box) =>
          copyRegion(box, onHost(target), source.region),
        );
      }
    },
  };
}

/** Memory whose elements are the sums of what the sources hold there: an activation's gradient, or one of partial sums. */
export function sumOf(allocator: Allocator, frame: Region, sources: readonly Source[]): Assembly {
  const shared = sharedMemory(frame, sources);
  if (shared !== undefined) return still({ frame, memory: shared });
  const target = { frame, memory: allocator.allocate('float32', regionVolume(frame)) };
  const terms = wholeTerms(frame, sources);
  if (terms !== undefined) return { ...still(target), stage: sumStage(regionShape(frame), terms, target.memory) };
  const [first, ...others] = sources;
  const firstCovers = first !== undefined && sameRegion(first.region, frame);
  return {
    ...target,
    ...needsOf(sources),
    async fill(transport, pass, elements) {
      const sum = { frame, memory: floats(target.memory.host) };
      const from = { transport, pass, elements };
      if (firstCovers) await useBox(first, 'float32', from, (box) => copyRegion(box, sum, first.region));
      else sum.memory.fill(0);
      for (const source of firstCovers ? others : sources) {
        await useBox(source, 'float32', from, ({ memory, frame: box }) =>
          addRegion({ memory: floats(memory), frame: box }, sum, source.region, elements.addHere),
        );
      }
    },
  };
}

function needsOf(sources: readonly Source[]): Pick<Assembly, 'stage' | 'receives' | 'copies'> {
  const copies = sources.flatMap((source) => (source.kind === 'local' ? [source.from.memory] : []));
  return { stage: undefined, receives: copies.length < sources.length, copies };
}

/** The memory of several local sources that are each the whole frame; undefined where a source is anything else. */
function wholeTerms(frame: Region, sources: readonly Source[]): TensorBuffer[] | undefined {
  const terms = sources.flatMap((source) => sharedMemory(frame, [source]) ?? []);
  return sources.length > 1 && terms.length === sources.length ? terms : undefined;
}

function sharedMemory(frame: Region, sources: readonly Source[]): TensorBuffer | undefined {
  const [only] = sources;
  if (sources.length !== 1 || only?.kind !== 'local' || !sameRegion(only.region, frame)) return undefined;
  return sameRegion(only.from.frame, frame) ? only.from.memory : undefined;
}

/** Lends the values of a source, which are read where they came: a message's are gone afterwards. */
async function useBox(
  source: Source,
  dtype: DType,
  from: { readonly transport: Transport; readonly pass: number; readonly elements: WireElements },
  use: (box: Boxed<TensorMemory>) => void,
): Promise<void> {
  if (source.kind === 'local') {
    use(onHost(source.from));
    return;
  }
  const { transport, pass, elements } = from;
  const frame = source.region;
  const count = regionVolume(frame);
  const tag = { step: pass, task: source.task, round: 0 };
  const isInt64 = dtype === 'int64';
  const elementBytes = isInt64 ? BigInt64Array.BYTES_PER_ELEMENT : elements.bytesPerElement;
  await transport.read(source.peer, tag, elementBytes * count, (bytes) => {
    use({ memory: isInt64 ? new BigInt64Array(bytes.buffer, bytes.byteOffset, count) : elements.unpack(bytes), frame });
  });
}

/** Narrows memory that was allocated as float32. */
export function floats(memory: TensorMemory): Float32Array {
  if (memory instanceof Float32Array) return memory;
  throw new TypeError(`internal: expected float32 memory, got ${memory.constructor.name}`);
}
