import type { DType } from '../../soap/graph/graph.ts';
import type { Region } from '../../soap/strategy/region.ts';
import { regionVolume, sameRegion } from '../../soap/strategy/region.ts';
import type { KernelEngine, TensorMemory } from '../kernels/kernels.ts';
import type { Transport } from '../transport/transport.ts';
import type { Boxed } from './regions.ts';
import { addRegion, copyRegion } from './regions.ts';

/** A box of a tensor that a task reads, and where it comes from: memory of this device, or a message of another. */
export type Source =
  | { readonly kind: 'local'; readonly region: Region; readonly from: Boxed<TensorMemory> }
  | { readonly kind: 'remote'; readonly region: Region; readonly peer: number; readonly task: number };

/** Memory that is put together from its sources in each pass, always in the same order. */
export interface Assembly extends Boxed<TensorMemory> {
  /** Completes the memory for this pass; waits for messages that have not come. */
  fill(transport: Transport, pass: number): Promise<void>;
}

/**
 * Memory whose every element comes from exactly one source: an input of a task. One local source of the same box is used
 * as it is, without a copy.
 */
export function gatherOf(engine: KernelEngine, frame: Region, dtype: DType, sources: readonly Source[]): Assembly {
  const shared = sharedMemory(frame, sources);
  if (shared !== undefined) return { frame, memory: shared, fill: () => Promise.resolve() };
  const target = { frame, memory: engine.allocate(dtype, regionVolume(frame)) };
  return {
    ...target,
    async fill(transport, pass) {
      for (const source of sources) copyRegion(await boxOf(source, dtype, transport, pass), target, source.region);
    },
  };
}

/** Memory whose elements are the sums of what the sources hold there: a gradient. */
export function sumOf(engine: KernelEngine, frame: Region, sources: readonly Source[]): Assembly {
  const shared = sharedMemory(frame, sources);
  if (shared !== undefined) return { frame, memory: shared, fill: () => Promise.resolve() };
  const target = { frame, memory: floats(engine.allocate('float32', regionVolume(frame))) };
  const [first, ...others] = sources;
  const firstCovers = first !== undefined && sameRegion(first.region, frame);
  return {
    ...target,
    async fill(transport, pass) {
      if (firstCovers) copyRegion(await boxOf(first, 'float32', transport, pass), target, first.region);
      else target.memory.fill(0);
      for (const source of firstCovers ? others : sources) {
        const { memory, frame: box } = await boxOf(source, 'float32', transport, pass);
        addRegion({ memory: floats(memory), frame: box }, target, source.region);
      }
    },
  };
}

function sharedMemory(frame: Region, sources: readonly Source[]): TensorMemory | undefined {
  const [only] = sources;
  if (sources.length !== 1 || only?.kind !== 'local' || !sameRegion(only.region, frame)) return undefined;
  return sameRegion(only.from.frame, frame) ? only.from.memory : undefined;
}

async function boxOf(source: Source, dtype: DType, transport: Transport, pass: number): Promise<Boxed<TensorMemory>> {
  if (source.kind === 'local') return source.from;
  const elements = regionVolume(source.region);
  const tag = { step: pass, task: source.task, round: 0 };
  const bytes = await transport.receive(source.peer, tag, (dtype === 'int64' ? 8 : 4) * elements);
  const { buffer, byteOffset } = bytes;
  const memory =
    dtype === 'int64'
      ? new BigInt64Array(buffer, byteOffset, elements)
      : new Float32Array(buffer, byteOffset, elements);
  return { memory, frame: source.region };
}

/** Narrows memory that was allocated as float32. */
export function floats(memory: TensorMemory): Float32Array {
  if (memory instanceof Float32Array) return memory;
  throw new TypeError(`internal: expected float32 memory, got ${memory.constructor.name}`);
}
