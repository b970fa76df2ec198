import test from 'ava';
import { differenceMargin } from '../../bench/accuracy/uncertainty.ts';
import type { AccuracyRow } from '../../bench/accuracy/rows.ts';
import { pairsOf } from '../../bench/accuracy/pairs.ts';
import { accuracyText } from '../../bench/accuracy/report.ts';
import { undecidedPairs } from '../../bench/accuracy/undecided.ts';
import { median } from '../../cli/profile/typical-step.ts';
import { createRandom } from '../../soap/random.ts';

/** Times of so many rounds around a true one. */
function measured(trueMs: number, rounds: number, noise: number, seed: number): number[] {
  const random = createRandom(seed);
  return Array.from({ length: rounds }, () => trueMs * Math.exp(noise * random.normal()));
}

test('of strategies that differ by just 5 %, few seem to differ by more with 95 % confidence; of those that differ by far more, most', (t) => {
  const shareOver = (apart: number): number => {
    let [sure, pairs] = [0, 0];
    for (let trial = 0; trial < 40; trial++) {
      const times = Array.from({ length: 14 }, (_, i) =>
        measured(100 * (i % 2 === 0 ? 1 : 1 + apart), 2 + (i % 3), 0.04, 100 * trial + i),
      );
      const margin = differenceMargin(times);
      for (let i = 0; i + 1 < times.length; i += 2) {
        const [fast, slow] = [times[i]!, times[i + 1]!];
        pairs += 1;
        if (Math.log(median(slow) / median(fast)) - margin(slow.length, fast.length) > Math.log(1.05)) sure += 1;
      }
    }
    return sure / pairs;
  };
  const least = shareOver(0.05);
  t.true(least < 0.1, `of 280 pairs ${least}`);
  t.true(least > 0.01, `of 280 pairs ${least}: the margin is too wide`);
  t.true(shareOver(0.25) > 0.9);
});

test('the margin is the same each time, either way around, less for more rounds, and infinite where nothing was measured twice', (t) => {
  const times = Array.from({ length: 10 }, (_, i) => measured(50, 3, 0.05, i));
  const [margin, again] = [differenceMargin(times), differenceMargin(times)];
  t.is(margin(2, 3), again(3, 2));
  t.true(margin(2, 2) > margin(4, 4));
  t.is(differenceMargin([[1], [2]])(1, 1), Infinity);
  t.is(margin(0, 2), Infinity);
});

test('strategies that clearly differ, and that clearly do not, are decided; those about 5 % apart are not', (t) => {
  const around = (ms: number): number[] => [ms * 0.99, ms * 1.01];
  t.deepEqual(undecidedPairs([around(100), around(100.2), around(150)]), [0, 0, 0]);
  t.deepEqual(undecidedPairs([around(100), around(105), around(150), []]), [1, 1, 0, 0]);
});

function row(strategy: string, predictedMs: number, evenMs: readonly number[], sameAs?: string): AccuracyRow {
  const times = { measuredMs: median(evenMs), roundsMs: evenMs, evenMs, predictedMs, besideOthersMs: predictedMs };
  return { model: 'mlp', devices: 2, strategy, ...times, sameAs, otherCores: undefined, parts: [] };
}

test('a table tells pairs in order, those that are surely so, and lists the others with both numbers', (t) => {
  const rows = [
    row('data', 10, [9.9, 10.1]),
    row('found', 10, [9.9, 10.1], 'data'),
    row('model', 19, [19.8, 20.2]),
    row('random 1', 18, [21.2, 21.4]),
    row('random 2', 9, [29.7, 30.3]),
  ];
  const pairs = pairsOf(rows, ({ predictedMs }) => predictedMs);
  t.deepEqual(
    pairs.filter(({ isOrdered }) => !isOrdered).map(({ slow, fast, isSure }) => [slow.strategy, fast.strategy, isSure]),
    [
      ['random 2', 'data', true],
      ['random 2', 'found', true],
      ['random 1', 'model', false],
      ['random 2', 'model', true],
      ['random 2', 'random 1', true],
    ],
  );
  t.is(pairs.length, 9);
  const text = accuracyText(rows);
  t.regex(text, /5 pairs out of order, 4 of them surely more than 5 % apart/);
  t.regex(
    text,
    /\| mlp on 2, random 1 \| model \| \+6\.5 % \| \+\d\.\d % \| -5\.3 % \| 21\.20 21\.40 \| 19\.80 20\.20 \|/,
  );
  t.regex(text, /\| all \| +\| 5 \| [\d.]+ % \| [\d.]+ % \| 4 of 9 \| 4 of 8 \|/);
});
