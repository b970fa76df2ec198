import test from 'ava';
import * as fc from 'fast-check';
import { unpackCosts, packCosts } from '../../operator/costs/packing.ts';
import { createCostTable, decodeCostTable, encodeCostTable } from '../../soap/cost/cost-table.ts';
import type { CostEntry } from '../../soap/cost/cost-table.ts';
import type { KeptCosts } from '../../soap/cost/kept-costs.ts';
import {
  decodeKeptCosts,
  deviceCostsOf,
  keptCosts,
  mergeKeptCosts,
  shortenKeptCosts,
} from '../../soap/cost/kept-costs.ts';
import { createMeasuredCosts } from '../../soap/cost/measured.ts';
import { presetCluster } from '../../soap/cluster/presets.ts';
import { kernelsVersion, KERNELS_VERSION } from '../../soap/version.ts';

const [A, B] = ['a'.repeat(16), 'b'.repeat(16)];
const ABOUT = { deviceType: 'P100', kernels: kernelsVersion('cuda'), startUs: 20 };

const entry = (op: string, us: number): CostEntry => ({
  signature: `${op}(4x4)`,
  direction: 'forward',
  flops: 1e6,
  memoryBytes: 1e3,
  us,
  spread: 0.01,
});

const kept = (model: string, day: number, entries: readonly CostEntry[], about = ABOUT): KeptCosts =>
  keptCosts(about, { model, measured: `2026-11-${day}T00:00:00.000Z` }, entries);

test('what is kept says the same as what was measured, whatever computed, without the start of a kernel', (t) => {
  const device = deviceCostsOf(kept(A, 10, [entry('conv', 120.12345)]));
  const table = decodeCostTable(encodeCostTable(createCostTable([device])));
  const costs = createMeasuredCosts(table);
  const p100 = presetCluster('p100x2').devices[0]!;
  t.is(costs.durationUs(entry('conv', 0), p100), p100.taskOverheadUs + 100.1);
  t.is(costs.basis(entry('conv', 0), p100), 'measured');
  t.is(costs.basis({ ...entry('conv', 0), signature: 'conv(8x8)' }, p100), 'interpolated');
  t.is(costs.basis(entry('pool', 0), p100), 'roofline');
  t.is(KERNELS_VERSION, kernelsVersion('cpu'));
});

test('tables merge: the newer of two times counts, models are in order of their measuring, other kernels replace', (t) => {
  const first = kept(A, 10, [entry('conv', 100), entry('pool', 5)]);
  const both = mergeKeptCosts(first, kept(B, 11, [entry('conv', 200), entry('add', 7)]));
  t.deepEqual(
    both.batches.map(({ model }) => model),
    [A, B],
  );
  t.deepEqual(
    both.rows.map((row) => [row[0], row[4], row[6]]),
    [
      ['conv(4x4)', 200, 1],
      ['pool(4x4)', 5, 0],
      ['add(4x4)', 7, 1],
    ],
  );
  const again = mergeKeptCosts(both, kept(A, 12, [entry('pool', 6)]));
  t.deepEqual(
    again.batches.map(({ model }) => model),
    [B, A],
  );
  t.deepEqual(
    again.rows.map((row) => row[6]).toSorted((a, b) => a - b),
    [0, 0, 1],
  );
  const other = kept(B, 13, [entry('add', 1)], { ...ABOUT, kernels: kernelsVersion('webgpu') });
  t.is(mergeKeptCosts(both, other), other);
  t.is(mergeKeptCosts(undefined, other), other);
});

test('a table that is too large loses what was measured longest ago, then what takes least time, and says so', async (t) => {
  const many = (model: string, day: number, from: number): KeptCosts =>
    kept(
      model,
      day,
      Array.from({ length: 300 }, (_, i) => entry(`op${from + i}`, 10 + i)),
    );
  const both = mergeKeptCosts(many(A, 10, 0), many(B, 11, 1000));
  const whole = await packCosts(both);
  t.deepEqual([whole.dropped, whole.costs], [[], both]);
  const shorter = await packCosts(both, Math.floor(0.75 * whole.bytes.length));
  t.deepEqual(shorter.dropped, ['300 kernels of the model measured longest ago (2026-11-10T00:00:00.000Z)']);
  t.deepEqual(
    shorter.costs.batches.map(({ model }) => model),
    [B],
  );
  t.true(shorter.bytes.length <= 0.75 * whole.bytes.length);
  t.deepEqual(await unpackCosts(shorter.bytes, 'x'), shorter.costs);
  const halved = shortenKeptCosts(shorter.costs);
  t.is(halved.dropped, 'the 150 kernels that take least time');
  t.true(halved.costs.rows.every((row) => row[4] >= 160));
  t.is((await packCosts(both, 10)).costs.rows.length, 0);
});

const GOOD = kept(A, 10, [entry('conv', 100)]);
const BAD: Readonly<Record<string, unknown>> = {
  'no object': [],
  nothing: {},
  'another version': { ...GOOD, version: 2 },
  'a field more': { ...GOOD, x: 1 },
  'old kernels': { ...GOOD, kernels: 'ONNX Runtime 1.2 CPU, forms 0' },
  'no batch': { ...GOOD, batches: [] },
  'a model that is no key': { ...GOOD, batches: [{ model: '../x', measured: GOOD.batches[0]!.measured }] },
  'a batch that is not there': { ...GOOD, rows: [['conv(4x4)', 'forward', 1, 1, 1, 0, 1]] },
  'a negative time': { ...GOOD, rows: [['conv(4x4)', 'forward', 1, 1, -1, 0, 0]] },
  'no time': { ...GOOD, rows: [['conv(4x4)', 'forward', 1, 1, 0, 0, 0]] },
  'a direction of its own': { ...GOOD, rows: [['conv(4x4)', 'sideways', 1, 1, 1, 0, 0]] },
  'a short row': { ...GOOD, rows: [['conv(4x4)', 'forward', 1, 1, 1, 0]] },
  'an endless name': { ...GOOD, rows: [['x'.repeat(2000), 'forward', 1, 1, 1, 0, 0]] },
  'too many rows': { ...GOOD, rows: Array.from({ length: 20_001 }, () => GOOD.rows[0]) },
};

for (const [title, value] of Object.entries(BAD)) {
  test(`a report with ${title} is refused`, (t) => {
    t.throws(() => decodeKeptCosts(JSON.stringify(value), 'the report'), { name: 'FileError' });
  });
}

test('infinite times, what is not JSON, not compressed, or a bomb is refused', async (t) => {
  t.throws(() => decodeKeptCosts(JSON.stringify(GOOD).replace(',100,', ',1e999,'), 'x'), { name: 'FileError' });
  t.throws(() => decodeKeptCosts('{', 'x'), { message: /is not JSON/ });
  await t.throwsAsync(unpackCosts(Buffer.from('hello'), 'x'), { name: 'FileError' });
  const { gzipSync } = await import('node:zlib');
  await t.throwsAsync(unpackCosts(gzipSync(Buffer.alloc(50_000_000)), 'x'), { message: /cannot be unpacked/ });
});

test('any JSON is a table or refused with a sentence', (t) => {
  fc.assert(
    fc.property(fc.jsonValue(), fc.constantFrom(...Object.keys(GOOD)), (value, field) => {
      try {
        decodeKeptCosts(JSON.stringify({ ...GOOD, [field]: value }), 'x');
      } catch (error) {
        t.is(error instanceof Error && error.name, 'FileError');
      }
    }),
    { numRuns: 300 },
  );
});
