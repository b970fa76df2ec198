import test from 'ava';
import { fill } from '../support/kernel-graphs.ts';
import type { TensorBuffer } from '../../runtime/kernels/kernels.ts';
import { createReferenceEngine } from '../../runtime/kernels/reference/engine.ts';
import type { Step } from '../../runtime/program/segments/cut.ts';
import { cutSegments } from '../../runtime/program/segments/cut.ts';
import { MAX_SEND_DELAY_US } from '../../soap/tasks/liveness/cut.ts';
import { KernelCache } from '../../runtime/program/kernel-cache.ts';
import { mergeStages } from '../../runtime/program/segments/merge.ts';
import { mergeSegments } from '../../runtime/program/segments/merged-segment.ts';
import type { Stage } from '../../runtime/program/segments/stage.ts';
import { sumStage } from '../../runtime/program/segments/sum-stage.ts';

/** Memory of the reference engine. */
function memory(...values: number[]): TensorBuffer {
  const buffer = createReferenceEngine().allocate('float32', values.length);
  fill(buffer.host, values);
  return buffer;
}

const stage = (a: TensorBuffer, b: TensorBuffer, sum: TensorBuffer, shape = [2]): Stage => sumStage(shape, [a, b], sum);

function step(task: string, more: Partial<Step<string>> = {}): Step<string> {
  const nothing = { stages: [], receives: false, copies: [], sends: false };
  return { task, direction: 'forward', durationUs: MAX_SEND_DELAY_US + 1, ...nothing, ...more };
}

const [x, y] = [memory(1, 2), memory(0, 0)];
const CUTS: readonly [does: string, steps: readonly Step<string>[], segments: readonly string[]][] = [
  ['nothing interrupts', [step('a'), step('b'), step('c')], ['a b c']],
  ['a message is needed', [step('a', { receives: true }), step('b'), step('c', { receives: true })], ['a b', 'c']],
  ['others wait', [step('a'), step('b', { sends: true }), step('c'), step('d')], ['a b', 'c d']],
  ['the direction turns', [step('a'), step('b', { direction: 'backward' })], ['a', 'b']],
  [
    'little work follows what others wait for',
    [step('a', { sends: true }), step('b', { durationUs: 50 }), step('c', { durationUs: 101 })],
    ['a b', 'c'],
  ],
  [
    'more is sent: the delay counts from the first',
    [
      step('a', { sends: true }),
      step('b', { sends: true, durationUs: 90 }),
      step('c', { durationUs: 60 }),
      step('d', { durationUs: 1 }),
    ],
    ['a b c', 'd'],
  ],
  [
    'JavaScript copies what the segment writes, not what another did',
    [step('a', { stages: [stage(x, x, y)], copies: [y] }), step('b', { copies: [x] }), step('c', { copies: [y] })],
    ['a b', 'c'],
  ],
];

for (const [does, steps, segments] of CUTS) {
  test(`segments where ${does}`, (t) => {
    const cut = cutSegments(steps).map((segment) => segment.steps.map(({ task }) => task).join(' '));
    t.deepEqual(cut, [...segments]);
  });
}

test('merged stages hand values on, and write only what is read', async (t) => {
  const engine = createReferenceEngine();
  const [a, b, inner, result] = [memory(1, 2), memory(10, 20), memory(-1, -1), memory(-1, -1)];
  const merged = mergeStages([stage(a, b, inner), stage(inner, a, result)], (each) => each === result);
  await engine.compile(merged.graph).bind(merged.memory).run();
  t.deepEqual([...result.host], [12, 24]);
  t.deepEqual([...inner.host], [-1, -1]);
});

test('stages may see the same memory in different shapes', async (t) => {
  const engine = createReferenceEngine();
  const [a, inner, result] = [memory(1, 2), memory(0, 0), memory(0, 0)];
  const merged = mergeStages([stage(a, a, inner), stage(inner, inner, result, [1, 2])], (each) => each === result);
  // Engines that write nodes in other forms need the shapes of all of them.
  const shapes = new Map(merged.graph.inner?.map(({ name, shape }) => [name, shape]));
  t.deepEqual(
    merged.graph.nodes.map(({ outputs: [name] }) => shapes.get(name!)),
    [[2], [1, 2], [1, 2], [1, 2]],
  );
  await engine.compile(merged.graph).bind(merged.memory).run();
  t.deepEqual([...result.host], [4, 8]);
});

test('stages update memory in turn, in one segment or in several', async (t) => {
  const engine = createReferenceEngine();
  const updates = (sum: TensorBuffer): Stage[] => [stage(sum, memory(10, 20), sum), stage(sum, memory(300, 400), sum)];
  for (const cut of [0, 1, 2]) {
    const sum = memory(1, 2);
    const stages = updates(sum);
    for (const each of [stages.slice(0, cut), stages.slice(cut)].filter(({ length }) => length > 0)) {
      const merged = mergeStages(each, () => true);
      await engine.compile(merged.graph).bind(merged.memory).run();
    }
    t.deepEqual([...sum.host], [311, 422]);
  }
});

test('memory that a segment reads is never written by it, but by stages that update what only they read', (t) => {
  const [a, b, c] = [memory(1), memory(2), memory(3)];
  const reading = stage(a, b, c, [1]);
  const updating = stage(a, b, a, [1]);
  t.throws(() => mergeStages([reading, updating], () => true), { message: /has read or written/ });
  t.throws(() => mergeStages([reading, stage(b, b, a, [1])], () => true), { message: /has read or written/ });
  t.throws(() => mergeStages([stage(a, a, b, [1]), stage(a, a, b, [1])], () => true), { message: /read or written/ });
});

test('segments write what other segments read, and equal ones have equal graphs', async (t) => {
  let compiled = 0;
  const reference = createReferenceEngine();
  const counting = { ...reference, compile: (graph: Stage['graph']) => ((compiled += 1), reference.compile(graph)) };
  const [a, first, second, last] = [memory(1, 2), memory(0, 0), memory(0, 0), memory(0, 0)];
  const segments = cutSegments([
    step('a', { stages: [stage(a, a, first)], sends: true }),
    step('b', { stages: [stage(first, first, second)], sends: true }),
    step('c', { stages: [stage(second, second, last)] }),
  ]);
  const kernels = new KernelCache(counting);
  for (const {
    stage: { graph, memory },
  } of mergeSegments(segments, new Set([last])))
    await kernels.get(graph).bind(memory).run();
  t.deepEqual([...last.host], [8, 16]);
  t.is(compiled, 1);
});
