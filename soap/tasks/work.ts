import type { TaskWork } from '../cost/task-work.ts';
import type { Attributes, Op } from '../graph/graph.ts';
import type { WireType } from '../job/training-job.ts';
import { opDefinition } from '../ops/index.ts';
import type { Part } from '../ops/op.ts';
import type { Region } from '../region/region.ts';
import { regionShape, regionVolume } from '../region/region.ts';
import { maskBytes } from './masks.ts';

/** float32. Indices are int64 on disk and in kernels, but small beside the values; they count the same. */
export const BYTES_PER_ELEMENT = 4;

const WIRE_BYTES: Readonly<Record<WireType, number>> = { float32: 4, bfloat16: 2 };

/** Bytes of a message over those of the values in it. Statistics that parts gather travel as they are, whatever the rest does. */
export function wireShare(wire: WireType = 'float32'): number {
  return WIRE_BYTES[wire] / BYTES_PER_ELEMENT;
}

/** Lists above this are data, such as the indices of a gather, and not extents of axes. */
const LONG_LIST = 16;

/** Bytes of a region of values. */
export function regionBytes(region: Region): number {
  return regionVolume(region) * BYTES_PER_ELEMENT;
}

/**
 * What a part's forward or backward task does. The backward pass reads what the forward one did and writes gradients.
 * @param wants of each input of the op, whether its gradient is wanted
 */
export function partWork(part: Part, op: Op, direction: 'forward' | 'backward', wants: readonly boolean[]): TaskWork {
  const definition = opDefinition(op.kind);
  const [bytes, read] = [sumOf([...part.inputs, ...part.outputs]), maskBytes(op, part)];
  const unwanted = direction === 'backward' && wants.includes(false) ? ` of ${gradientsText(wants)}` : '';
  return {
    signature: `${workSignature(op, part)}${unwanted}`,
    direction,
    flops: direction === 'forward' ? definition.forwardFlops(part) : backwardFlops(part, op, wants),
    memoryBytes: (direction === 'forward' ? bytes : 2 * bytes) + read,
  };
}

/** Of a backward task, without those for gradients of weights that are not wanted. */
function backwardFlops(part: Part, { kind }: Op, wants: readonly boolean[]): number {
  const definition = opDefinition(kind);
  const flops = definition.backwardFlops(part);
  return wants.reduce(
    (left, wanted, input) => (wanted ? left : left - (definition.weightGradientFlops?.(part, input) ?? 0)),
    flops,
  );
}

/** What it takes a part to get its statistics: a look at every value that the pass reads. */
export function statisticsWork(part: Part, op: Op, direction: 'forward' | 'backward'): TaskWork {
  const bytes = sumOf(part.inputs) + (direction === 'backward' ? sumOf(part.outputs) : 0);
  return {
    signature: `statistics of ${workSignature(op, part)}`,
    direction,
    flops: (2 * bytes) / BYTES_PER_ELEMENT,
    memoryBytes: bytes,
  };
}

function workSignature(op: Op, part: Part): string {
  const shapes = [...part.inputs, part.output].map((region) => (region ? regionShape(region).join('x') : '-')).join();
  return `${op.kind}(${shapes})${attributeText(op.attributes)}`;
}

/** Numbers of the inputs whose gradients are wanted. */
function gradientsText(wants: readonly boolean[]): string {
  return wants.flatMap((wanted, input) => (wanted ? [input] : [])).join();
}

const attributeTexts = new WeakMap<Attributes, string>();

/** Attributes as text, once for each op: builds of a task graph ask often. What is in a long list does not tell in time. */
function attributeText(attributes: Attributes): string {
  let text = attributeTexts.get(attributes);
  if (text === undefined) {
    const short = (_key: string, value: unknown): unknown =>
      Array.isArray(value) && value.length > LONG_LIST ? `${value.length} numbers` : value;
    text = JSON.stringify(attributes, short);
    attributeTexts.set(attributes, text);
  }
  return text;
}

function sumOf(regions: readonly (Region | undefined)[]): number {
  return regions.reduce((sum, region) => sum + (region === undefined ? 0 : regionBytes(region)), 0);
}
