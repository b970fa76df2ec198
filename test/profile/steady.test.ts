import test from 'ava';
import * as fc from 'fast-check';
import { middleMean, SteadySteps } from '../../cli/profile/steady.ts';

/** Adds steps that take so long, by when they begin, until they are enough or too many. */
function watch(
  stepMs: (atMs: number) => number,
  most = 10_000,
): { steps: SteadySteps; endMs: number; isEnough: boolean } {
  const steps = new SteadySteps();
  let endMs = 1e6;
  for (let i = 0; i < most; i++) {
    endMs += stepMs(endMs - 1e6);
    if (steps.add(endMs)) return { steps, endMs: endMs - 1e6, isEnough: true };
  }
  return { steps, endMs: endMs - 1e6, isEnough: false };
}

test('steps that are the same from the beginning are enough after 4 s, and those of two windows of 0.7 s count', (t) => {
  const { steps, endMs } = watch(() => 10);
  t.true(endMs > 4000 && endMs < 5000);
  t.is(middleMean(steps.stepsMs), 10);
  t.is(steps.stepsMs.length, 140);
});

test('steps that get shorter are waited for, and only the last ones count', (t) => {
  const { steps, endMs, isEnough } = watch((atMs) => (atMs < 4500 ? 100 - atMs / 90 : 50));
  t.true(isEnough);
  t.true(endMs > 5500 && endMs < 7000);
  t.deepEqual(new Set(steps.stepsMs.map(Math.round)), new Set([50]));
});

test('steps that are the same for two seconds before they get shorter are waited for', (t) => {
  const { steps, isEnough } = watch((atMs) => (atMs < 2000 ? 11 : 8));
  t.true(isEnough);
  t.deepEqual(new Set(steps.stepsMs), new Set([8]));
});

test('steps that never stay the same are enough after 8 s, and long ones after ten', (t) => {
  const falling = watch((atMs) => 100 * Math.exp(-atMs / 5000));
  t.true(falling.isEnough && falling.endMs > 8000 && falling.endMs < 9000);
  t.is(watch(() => 1000).steps.stepsMs.length, 10);
});

test('of a run that ends too soon the later half counts', (t) => {
  const { steps, isEnough } = watch(() => 20, 9);
  t.false(isEnough);
  t.deepEqual(steps.stepsMs, [20, 20, 20, 20]);
  t.deepEqual(new SteadySteps().stepsMs, []);
});

test('the middle half of numbers is not moved by the others', (t) => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 100 }), { minLength: 4, maxLength: 40 }), (values) => {
      const sorted = values.toSorted((a, b) => a - b);
      const mean = middleMean([...sorted.slice(0, -1), sorted.at(-1)! + 1e6]);
      return mean === middleMean(values) && mean >= sorted[0]! && mean <= sorted.at(-1)!;
    }),
  );
  t.pass();
});
