import type { Shape } from '../../soap/graph/graph.ts';
import type { Region } from '../../soap/region/region.ts';
import { GROUP, GROUP_COUNTERS, philoxModule } from './philox.ts';

/** A mask that a device makes, and where. */
export interface MaskPlan {
  /** Which of the graph's ops with masks it is of, from 0. */
  readonly op: number;
  /** Elements are dropped whose random word is less, of 2^32. */
  readonly threshold: number;
  /** Of the whole tensor in a micro-batch, and the box of it that the mask is for. */
  readonly shape: Shape;
  readonly region: Region;
  /** Elements in a row that hold all samples once; 0 of what is no part of any sample: see `soap/training/sample-period.ts`. */
  readonly period: number;
  /** Where its first element is in the shared memory, a byte for each, row-major; {@link SLACK_BYTES} are behind it. */
  readonly address: number;
}

/** Which masks: those of a micro-batch of a step, both counted from 0. */
export interface MaskKey {
  readonly step: number;
  readonly microBatch: number;
}

/** The masks of a device, and where they are made. */
export interface MaskSet {
  readonly memory: WebAssembly.Memory;
  readonly plans: readonly MaskPlan[];
  /** Of the run. */
  readonly seed: number;
  /** Micro-batches of a step. */
  readonly accumulationSteps: number;
}

type Run = (...parameters: number[]) => void;

const WORD = 2 ** 32;

/** Bytes at the start of the memory, and behind each mask, that are written meanwhile. */
export const SCRATCH_BYTES = 32;
export const SLACK_BYTES = 32;

/**
 * Returns what makes the masks of a micro-batch: a byte for each element, 1 where it is kept. The random word of an element depends
 * on the seed, the step, the op, and the index of the element in the whole tensor of the whole batch, and on nothing else: they
 * are the key and the counter of the generator.
 */
export function maskFiller({ memory, plans, seed, accumulationSteps }: MaskSet): (key: MaskKey) => void {
  const run = instantiate(memory);
  const bytes = new Uint8Array(memory.buffer);

  /** Elements of the op's whole tensor from `index` on, to an address. */
  function fill({ op, threshold }: MaskPlan, step: number, index: number, count: number, address: number): void {
    const groups = (from: number, target: number, length: number): void => {
      const counter = (from / GROUP) * GROUP_COUNTERS;
      const words = [counter % WORD, Math.floor(counter / WORD), step, op, seed % WORD, Math.floor(seed / WORD)];
      run(target, target + length, ...words, threshold);
    };
    const head = index % GROUP;
    const first = head === 0 ? 0 : Math.min(count, GROUP - head);
    if (first > 0) {
      groups(index - head, 0, GROUP);
      bytes.copyWithin(address, head, head + first);
    }
    // The last group may go on behind the run: what comes there is written later.
    if (count > first) groups(index + first, address + first, count - first);
  }

  return ({ step, microBatch }) => {
    for (const plan of plans) {
      let address = plan.address;
      for (const run of runsOf(plan.shape, plan.region)) {
        for (const [index, count] of wholeRuns(plan, run, microBatch, accumulationSteps)) {
          fill(plan, step, index, count, address);
          address += count;
        }
      }
    }
  };
}

function instantiate(memory: WebAssembly.Memory): Run {
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(philoxModule()), { host: { memory } });
  const { run } = exports;
  if (typeof run !== 'function') throw new Error('internal: the generator of masks has no function');
  return (...parameters) => void run(...parameters);
}

/** The elements of a box, row-major, as runs of neighbours in the whole tensor. */
function* runsOf(shape: Shape, region: Region): Generator<readonly [start: number, length: number]> {
  // All axes behind this one are there whole.
  const last = Math.max(
    0,
    region.findLastIndex(([start, end], axis) => end - start < shape[axis]!),
  );
  const [start, end] = region[last] ?? [0, 1];
  const [extent, stride] = [shape[last] ?? 1, shape.slice(last + 1).reduce((a, b) => a * b, 1)];
  for (const row of rowsOf(shape, region.slice(0, last)))
    yield [(row * extent + start) * stride, (end - start) * stride];
}

/** Row-major indices of the elements of a box of leading axes. */
function* rowsOf(shape: Shape, region: Region): Generator<number> {
  const [start, end] = region.at(-1) ?? [0, 1];
  if (region.length === 0) yield 0;
  else
    for (const row of rowsOf(shape, region.slice(0, -1)))
      for (let i = start; i < end; i++) yield row * shape[region.length - 1]! + i;
}

/** A run of a micro-batch's tensor as runs of the whole batch's, in which the samples of other micro-batches lie between. */
function* wholeRuns(
  { period }: MaskPlan,
  run: readonly [start: number, length: number],
  microBatch: number,
  accumulationSteps: number,
): Generator<readonly [start: number, length: number]> {
  let [start, length] = run;
  while (length > 0) {
    const block = period === 0 ? 0 : Math.floor(start / period);
    const count = period === 0 ? length : Math.min(length, (block + 1) * period - start);
    yield [start + (block * (accumulationSteps - 1) + microBatch) * period, count];
    start += count;
    length -= count;
  }
}
