import test from 'ava';
import * as fc from 'fast-check';
import type { Interval, Region } from '../../soap/region/region.ts';
import { intersect, regionShape, regionVolume } from '../../soap/region/region.ts';
import { addByValue } from '../../runtime/kernels/addition.ts';
import { copyRegion, RegionPath } from '../../runtime/kernels/regions.ts';

const interval = fc
  .tuple(fc.integer({ min: 0, max: 5 }), fc.integer({ min: 1, max: 4 }))
  .map(([start, size]): Interval => [start, start + size]);
const pairOfFrames = fc
  .integer({ min: 1, max: 4 })
  .chain((rank) =>
    fc.tuple(
      fc.array(interval, { minLength: rank, maxLength: rank }),
      fc.array(interval, { minLength: rank, maxLength: rank }),
    ),
  );

/** The element of a frame's memory at a position of the whole tensor. */
function offset(frame: Region, position: readonly number[]): number {
  return regionShape(frame).reduce((sum, extent, axis) => sum * extent + position[axis]! - frame[axis]![0], 0);
}

function positions(region: Region): number[][] {
  return region.reduce<number[][]>(
    (rows, [start, end]) => rows.flatMap((row) => Array.from({ length: end - start }, (_, i) => [...row, start + i])),
    [[]],
  );
}

test('copying and adding a region touch the same elements as one position at a time', (t) => {
  fc.assert(
    fc.property(pairOfFrames, ([sourceFrame, targetFrame]) => {
      const region = intersect(sourceFrame, targetFrame);
      fc.pre(region !== undefined);
      const source = {
        frame: sourceFrame,
        memory: Float32Array.from({ length: regionVolume(sourceFrame) }, (_, i) => i + 1),
      };
      const copied = { frame: targetFrame, memory: new Float32Array(regionVolume(targetFrame)).fill(-1) };
      const added = { frame: targetFrame, memory: new Float32Array(regionVolume(targetFrame)).fill(-1) };
      const expectedCopy = copied.memory.slice();
      const expectedSum = added.memory.slice();
      for (const position of positions(region)) {
        expectedCopy[offset(targetFrame, position)] = source.memory[offset(sourceFrame, position)]!;
        expectedSum[offset(targetFrame, position)]! += source.memory[offset(sourceFrame, position)]!;
      }
      copyRegion(source, copied, region);
      new RegionPath(sourceFrame, targetFrame, region).add(source.memory, added.memory, addByValue);
      t.deepEqual(copied.memory, expectedCopy);
      t.deepEqual(added.memory, expectedSum);
    }),
  );
});

test('runs that are long are copied and added as a whole, in their places', (t) => {
  const frames = fc.tuple(fc.integer({ min: 1, max: 3 }), fc.integer({ min: 100, max: 300 }), fc.nat(40));
  fc.assert(
    fc.property(frames, ([rows, columns, shift]) => {
      const region: Region = [
        [0, rows],
        [shift, columns],
      ];
      fc.pre(shift < columns);
      const wide = { frame: [[0, rows] as const, [0, columns] as const], memory: new Float32Array(rows * columns) };
      wide.memory.forEach((_, i) => (wide.memory[i] = i));
      const narrow = { frame: region, memory: new Float32Array(regionVolume(region)).fill(0.5) };
      new RegionPath(wide.frame, region, region).add(wide.memory, narrow.memory, addByValue);
      const copied = new Float32Array(regionVolume(region));
      copyRegion(wide, { frame: region, memory: copied }, region);
      for (const position of positions(region)) {
        t.is(copied[offset(region, position)], wide.memory[offset(wide.frame, position)]);
        t.is(narrow.memory[offset(region, position)], wide.memory[offset(wide.frame, position)]! + 0.5);
      }
    }),
  );
});

test('regions behind the 2^31st element are copied from where they are', (t) => {
  // As bytes, of which only those that are touched take memory.
  const [rows, columns] = [2 ** 22, 2 ** 9 + 1];
  const memory = new Uint8Array(rows * columns);
  const region: Region = [
    [rows - 2, rows],
    [5, 8],
  ];
  memory.set([1, 2, 3], (rows - 2) * columns + 5);
  memory.set([4, 5, 6], (rows - 1) * columns + 5);
  const copied = { frame: region, memory: new Uint8Array(6) };
  const whole = { frame: [[0, rows] as const, [0, columns] as const], memory };
  copyRegion(whole, copied, region);
  t.deepEqual([...copied.memory], [1, 2, 3, 4, 5, 6]);
});
