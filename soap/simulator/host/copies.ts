import type { Region } from '../../region/region.ts';
import { contiguousFrom, intersect, regionShape, regionVolume, sameRegion } from '../../region/region.ts';
import { assembling } from '../../tasks/assembly.ts';
import type { Layout, PlacedPart } from '../../tasks/layout.ts';
import { givesGradient, holdsPartialSums, inputPieces } from '../../tasks/layout.ts';
import type { ParameterShard } from '../../tasks/task-graph.ts';
import { BYTES_PER_ELEMENT } from '../../tasks/work.ts';

/** What is copied or added up outside of kernels. */
export interface Copying {
  readonly copiedBytes: number;
  /** In runs too short for the kernel library. */
  readonly summedBytes: number;
  /** In runs that the kernel library adds: see {@link isLongSum}. */
  readonly longSummedBytes: number;
  /** Contiguous runs of memory. */
  readonly runs: number;
}

export const NO_COPYING: Copying = { copiedBytes: 0, summedBytes: 0, longSummedBytes: 0, runs: 0 };

/** Values from which on the kernel library adds faster than JavaScript, its call of some 6 us included. Measured: docs/performance/runtime.md. */
const LONG_SUM = 8192;

/** Whether the kernel library adds so many values that lie in a row. What runs and what is simulated both ask it. */
export function isLongSum(values: number): boolean {
  return values >= LONG_SUM;
}

/** Memory of a device: an output of a part, or the gradient of an input. */
export type MemoryName = `${'output' | 'gradient'} ${number} ${number} ${number}`;

/** A box that a task reads, and where it comes from. */
interface PieceSource {
  readonly from: PlacedPart;
  /** Name of the memory on the device of `from`. */
  readonly memory: MemoryName;
  readonly frame: Region;
  readonly region: Region;
}

/** An input of a task that is put together from pieces outside of kernels. */
export interface PutTogether {
  /** Memory of the task's device that it is copied from. */
  readonly copies: readonly MemoryName[];
  readonly copying: Copying;
}

/**
 * What the runtime puts together before a task runs, by `runtime/program/assembly.ts`. Left out are inputs that are
 * some memory as it is, and sums of whole local tensors, which are kernels.
 */
export function putTogether(layout: Layout, part: PlacedPart, direction: 'forward' | 'backward'): PutTogether[] {
  return direction === 'forward' ? forwardInputs(layout, part) : backwardInputs(layout, part);
}

function forwardInputs(layout: Layout, part: PlacedPart): PutTogether[] {
  const { inputs } = layout.graph.ops[part.op]!;
  return inputs.flatMap((tensor, input) => {
    const frame = part.inputs[input];
    const producer = layout.producers[tensor];
    if (frame === undefined || producer === undefined) return [];
    const sources = inputPieces(layout, part, input).map(({ producer: from, region }): PieceSource => ({
      from,
      memory: `output ${from.op} ${from.index} ${producer.output}`,
      frame: from.outputs[producer.output]!,
      region,
    }));
    return assembled(part, frame, sources, holdsPartialSums(layout, producer.op));
  });
}

function backwardInputs(layout: Layout, part: PlacedPart): PutTogether[] {
  const { outputs } = layout.graph.ops[part.op]!;
  return outputs.flatMap((tensor, output) => {
    const frame = part.outputs[output]!;
    const givers = layout.readers[tensor]!.filter(({ op, input }) => givesGradient(layout, op.id, input));
    const sources = givers.flatMap(({ op, input }) =>
      layout.parts[op.id]!.flatMap((from) => gradientPiece(from, input, frame)),
    );
    return assembled(part, frame, sources, true);
  });
}

function gradientPiece(from: PlacedPart, input: number, frame: Region): PieceSource[] {
  const read = from.inputs[input];
  const region = read === undefined ? undefined : intersect(read, frame);
  if (read === undefined || region === undefined) return [];
  return [{ from, memory: `gradient ${from.op} ${from.index} ${input}`, frame: read, region }];
}

function assembled(part: PlacedPart, frame: Region, sources: readonly PieceSource[], sums: boolean): PutTogether[] {
  const isLocal = ({ from }: PieceSource): boolean => from.device === part.device;
  const boxes = sources.map((source) => ({ region: source.region, from: isLocal(source) ? source : undefined }));
  const way = assembling(frame, boxes, sums);
  if (sources.length === 0 || way.kind !== 'filled') return [];
  return [{ copies: way.copies, copying: copyingOf(part.device, frame, sources, sums) }];
}

function copyingOf(device: number, frame: Region, sources: readonly PieceSource[], sums: boolean): Copying {
  let [copiedBytes, summedBytes, longSummedBytes, runs] = [0, 0, 0, 0];
  sources.forEach((source, i) => {
    const values = regionVolume(source.region);
    const bytes = values * BYTES_PER_ELEMENT;
    // A message has just the region, in a row.
    const own = runCount(source.from.device === device ? source.frame : source.region, frame, source.region);
    if (!sums || (i === 0 && sameRegion(source.region, frame))) copiedBytes += bytes;
    else if (isLongSum(values / own)) longSummedBytes += bytes;
    else summedBytes += bytes;
    runs += own;
  });
  return { copiedBytes, summedBytes, longSummedBytes, runs };
}

/** What a part copies into a message. */
export function packing(frame: Region, region: Region): Copying {
  if (sameRegion(frame, region)) return NO_COPYING;
  const copiedBytes = regionVolume(region) * BYTES_PER_ELEMENT;
  return { ...NO_COPYING, copiedBytes, runs: runCount(frame, region, region) };
}

/** What brings readers' boxes of a shard up to date that are not the shard itself. */
export function refreshCopying(layout: Layout, { tensor, region }: ParameterShard, device: number): Copying {
  const shards = layout.shards.filter((each) => each.tensor === tensor && each.devices.includes(device));
  let [copiedBytes, runs] = [0, 0];
  for (const { op, input } of layout.readers[tensor]!) {
    for (const part of layout.parts[op.id]!) {
      const box = part.inputs[input];
      if (part.device !== device || box === undefined || shards.some((each) => sameRegion(each.region, box))) continue;
      const common = intersect(box, region);
      if (common === undefined) continue;
      copiedBytes += regionVolume(common) * BYTES_PER_ELEMENT;
      runs += runCount(region, box, common);
    }
  }
  return { ...NO_COPYING, copiedBytes, runs };
}

/** Contiguous runs that a region has in both of two frames. */
function runCount(a: Region, b: Region, region: Region): number {
  const inner = Math.max(contiguousFrom(a, region), contiguousFrom(b, region));
  return regionShape(region)
    .slice(0, inner)
    .reduce((product, extent) => product * extent, 1);
}
