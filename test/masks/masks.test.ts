import test from 'ava';
import fc from 'fast-check';
import type { MaskPlan, MaskSet } from '../../runtime/masks/fill.ts';
import { maskFiller, SCRATCH_BYTES, SLACK_BYTES } from '../../runtime/masks/fill.ts';
import { createMasks } from '../../runtime/masks/masks.ts';
import { HOST_BUFFERS } from '../../runtime/kernels/host-memory.ts';
import { GraphBuilder } from '../../soap/training/builder.ts';
import { attachLoss } from '../../soap/training/loss.ts';
import type { Shape } from '../../soap/graph/graph.ts';
import { singleDevice } from '../../soap/baselines/index.ts';
import type { Interval, Region } from '../../soap/region/region.ts';
import { regionVolume, wholeRegion } from '../../soap/region/region.ts';
import { layOut } from '../../soap/tasks/layout.ts';
import { elementCount } from '../../soap/onnx/indexing.ts';

const WORD = 2n ** 32n;

/** Philox4x32-10 by its definition: Salmon et al. 2011, section 3.3. */
function philox(counter: readonly number[], key: readonly number[]): number[] {
  let [c0, c1, c2, c3] = [BigInt(counter[0]!), BigInt(counter[1]!), BigInt(counter[2]!), BigInt(counter[3]!)];
  let [k0, k1] = [BigInt(key[0]!), BigInt(key[1]!)];
  for (let round = 0; round < 10; round++) {
    const [p0, p1] = [0xd2511f53n * c0, 0xcd9e8d57n * c2];
    [c0, c1, c2, c3] = [(p1 / WORD) ^ c1 ^ k0, p1 % WORD, (p0 / WORD) ^ c3 ^ k1, p0 % WORD];
    [k0, k1] = [(k0 + 0x9e3779b9n) % WORD, (k1 + 0xbb67ae85n) % WORD];
  }
  return [c0, c1, c2, c3].map(Number);
}

test('the generator of these tests gives the known answers of Random123', (t) => {
  const ones = 0xffffffff;
  t.deepEqual(philox([0, 0, 0, 0], [0, 0]), [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8]);
  t.deepEqual(philox([ones, ones, ones, ones], [ones, ones]), [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd]);
  t.deepEqual(
    philox([0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344], [0xa4093822, 0x299f31d0]),
    [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1],
  );
});

interface Wanted extends Partial<Omit<MaskSet, 'memory' | 'plans'>>, Partial<Omit<MaskPlan, 'address' | 'shape'>> {
  readonly shape: Shape;
  readonly step?: number;
  readonly microBatch?: number;
}

/** The mask of a box. */
function maskOf({ shape, step = 0, microBatch = 0, ...wanted }: Wanted): number[] {
  const { op = 0, threshold = 2 ** 31, region = wholeRegion(shape), period = elementCount(shape) } = wanted;
  const { seed = 1, accumulationSteps = 1 } = wanted;
  const volume = regionVolume(region);
  const pages = Math.ceil((volume + SCRATCH_BYTES + SLACK_BYTES) / 2 ** 16);
  const memory = new WebAssembly.Memory({ initial: pages, maximum: 65_536, shared: true });
  const plan: MaskPlan = { op, threshold, shape, region, period, address: SCRATCH_BYTES };
  maskFiller({ memory, plans: [plan], seed, accumulationSteps })({ step, microBatch });
  return Array.from(new Uint8Array(memory.buffer, SCRATCH_BYTES, volume));
}

/** The random word of an element, by the definition. */
function wordOf(
  index: number,
  { seed, step, op }: { readonly seed: number; readonly step: number; readonly op: number },
) {
  const at = index % 32;
  const counter = 8 * ((index - at) / 32) + 4 * Math.floor(at / 16) + (at % 4);
  const words = philox(
    [counter % 2 ** 32, Math.floor(counter / 2 ** 32), step, op],
    [seed % 2 ** 32, Math.floor(seed / 2 ** 32)],
  );
  return words[Math.floor((at % 16) / 4)]!;
}

test('a mask is a function of seed, step, op and index: the words of the generator against the threshold', (t) => {
  const word = fc.integer({ min: 0, max: 2 ** 32 - 1 });
  fc.assert(
    fc.property(fc.nat({ max: Number.MAX_SAFE_INTEGER }), word, word, word, (seed, step, op, threshold) => {
      const mask = maskOf({ shape: [100], seed, step, op, threshold });
      t.deepEqual(
        mask,
        mask.map((_, i) => Number(wordOf(i, { seed, step, op }) >= threshold)),
      );
    }),
    { numRuns: 30, seed: 1 },
  );
});

test('counters go on beyond 32 bits', (t) => {
  const start = 2 ** 34 - 70;
  const mask = maskOf({ shape: [2 ** 35], region: [[start, start + 140]], seed: 3, step: 2, op: 1 });
  t.deepEqual(
    mask,
    mask.map((_, i) => Number(wordOf(start + i, { seed: 3, step: 2, op: 1 }) >= 2 ** 31)),
  );
});

/** A shape and a box of it. */
const boxes = fc.array(fc.integer({ min: 1, max: 7 }), { minLength: 1, maxLength: 4 }).chain((shape) =>
  fc.record({
    shape: fc.constant(shape),
    region: fc.tuple(
      ...shape.map((extent) =>
        fc
          .tuple(fc.integer({ min: 0, max: extent - 1 }), fc.integer({ min: 1, max: extent }))
          .map(([a, b]): Interval => [Math.min(a, b - 1), Math.max(a + 1, b)]),
      ),
    ),
  }),
);

/** The elements of a box of a row-major tensor. */
function cut<T>(whole: readonly T[], shape: Shape, region: Region): T[] {
  const strides = shape.map((_, axis) => elementCount(shape.slice(axis + 1)));
  return whole.filter((_, i) =>
    region.every(([start, end], axis) => {
      const at = Math.floor(i / strides[axis]!) % shape[axis]!;
      return start <= at && at < end;
    }),
  );
}

test('every box of a tensor has what the whole has there', (t) => {
  fc.assert(
    fc.property(boxes, ({ shape, region }) => {
      t.deepEqual(maskOf({ shape, region }), cut(maskOf({ shape }), shape, region));
    }),
    { seed: 1 },
  );
});

test('micro-batches have what the whole batch has of their samples, wherever samples are; weights the same in all', (t) => {
  const [micro, steps] = [3, 4];
  for (const [before, after] of [
    [[], [5]],
    [[5], [2]],
    [[2, 3], []],
  ]) {
    const shapeOf = (samples: number): Shape => [...before!, samples, ...after!];
    const [shape, whole] = [shapeOf(micro), shapeOf(micro * steps)];
    for (let microBatch = 0; microBatch < steps; microBatch++) {
      const samples: Interval = [microBatch * micro, (microBatch + 1) * micro];
      const region = wholeRegion(whole).with(before!.length, samples);
      const period = micro * elementCount(after!);
      const mask = maskOf({ shape, period, microBatch, accumulationSteps: steps });
      t.deepEqual(mask, cut(maskOf({ shape: whole }), whole, region), `${shape} ${microBatch}`);
      t.deepEqual(maskOf({ shape, period: 0, microBatch, accumulationSteps: steps }), maskOf({ shape }));
    }
  }
});

/** Elements of a sample that statistics are of. */
const MANY = 2 ** 18;

test('of each mask as many elements are kept as the ratio says; steps, ops, seeds and neighbours are independent', (t) => {
  for (const ratio of [0, 0.001, 0.1, 0.5, 0.9, 0.999]) {
    const kept = maskOf({ shape: [MANY], threshold: Math.round(ratio * 2 ** 32) }).reduce((a, b) => a + b, 0);
    // Five standard deviations of a binomial.
    const deviation = Math.abs(kept - MANY * (1 - ratio));
    t.true(deviation <= 5 * Math.sqrt(MANY * ratio * (1 - ratio)), `${ratio}: ${kept} of ${MANY}`);
  }
  const mask = maskOf({ shape: [MANY] });
  const others = {
    step: maskOf({ shape: [MANY], step: 1 }),
    op: maskOf({ shape: [MANY], op: 1 }),
    seed: maskOf({ shape: [MANY], seed: 2 }),
    ...Object.fromEntries(
      [1, 2, 4, 16, 32, 1024].map((lag) => [`lag ${lag}`, [...mask.slice(lag), ...mask.slice(0, lag)]]),
    ),
  };
  for (const [what, other] of Object.entries(others)) {
    const equal = mask.reduce((count, kept, i) => count + Number(kept === other[i]), 0);
    t.true(Math.abs(equal - MANY / 2) <= 5 * Math.sqrt(MANY / 4), `${what}: ${equal} of ${MANY} are equal`);
  }
});

test('masks that a thread makes ahead are those that are made in place, in any order of asking', async (t) => {
  const builder = new GraphBuilder();
  const shape = [8, 100, 100];
  let x = builder.input('x', shape);
  for (const ratio of [0.25, 0.5]) x = builder.op('dropout', 'dropout', [x], { ratio });
  const training = attachLoss(builder.build('model', [x]), 'meanSquaredError', {}, 2);
  const parts = layOut(training, singleDevice(training.graph))
    .parts.slice(0, 2)
    .map(([part]) => ({
      part: part!,
      mask: HOST_BUFFERS.allocate('uint8', regionVolume(part!.output)),
    }));
  const masks = createMasks(training, parts, HOST_BUFFERS, 7)!;
  for (const [step, microBatch] of [
    [0, 0],
    [0, 1],
    [1, 0],
    [5, 1],
    [2, 0],
    [2, 0],
  ] as const) {
    await masks.load({ step, microBatch });
    for (const [op, threshold] of [2 ** 30, 2 ** 31].entries()) {
      const expected = maskOf({ shape, seed: 7, op, threshold, step, microBatch, accumulationSteps: 2 });
      t.deepEqual(Array.from(parts[op]!.mask.host, Number), expected, `step ${step}, ${microBatch}, op ${op}`);
    }
  }
  masks.release();
});
