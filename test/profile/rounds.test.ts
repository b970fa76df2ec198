import test from 'ava';
import { inRounds } from '../../cli/profile/rounds.ts';
import { disagree, overRounds } from '../../cli/profile/probe.ts';
import { typicalStep } from '../../cli/profile/typical-step.ts';
import type { Span } from '../../runtime/program/recorder.ts';

test('each round has everything once, in an order of its own that is the same each time', (t) => {
  const turns = inRounds(20, 3);
  const orders = [0, 1, 2].map((round) => turns.filter((turn) => turn.round === round).map(({ index }) => index));
  for (const order of orders)
    t.deepEqual(
      order.toSorted((a, b) => a - b),
      Array.from({ length: 20 }, (_, i) => i),
    );
  t.notDeepEqual(orders[0], orders[1]);
  t.notDeepEqual(orders[1], orders[2]);
  t.deepEqual(inRounds(20, 3), turns);
});

function span(kind: Span['kind'], step: number, startMs: number, ms: number, tasks: readonly number[] = []): Span {
  return { kind, step, tasks, startMs, endMs: startMs + ms };
}

test('a typical step begins and ends as the middle one of several', (t) => {
  const steps = [1, 2, 30].flatMap((ms, step) => [
    span('step', step, 100 * step, 10 * ms),
    span('segment', step, 100 * step + ms, 2 * ms, [3, 4]),
  ]);
  const unbegun = span('segment', 7, 0, 9, [3, 4]);
  t.deepEqual(typicalStep([...steps, unbegun]), [span('step', 0, 0, 20), span('segment', 0, 2, 4, [3, 4])]);
  t.deepEqual(typicalStep([]), []);
});

test('rounds come to the middle one, and disagree where one is far off', (t) => {
  const run = (iterationMs: number) => ({
    iterationMs,
    spans: [[span('step', 0, 0, iterationMs), span('wait', 0, 1, iterationMs / 2, [5])]],
    otherCores: iterationMs / 100,
  });
  const runs = [10, 30, 11].map(run);
  t.deepEqual(overRounds(runs), run(11));
  t.is(overRounds(runs.slice(0, 2)).iterationMs, 20);
  t.true(disagree(runs.slice(0, 2)));
  t.false(disagree([run(10), run(10.5)]));
  t.false(disagree([]));
});
