import test from 'ava';
import { fitLinear, solveLinear } from '../../soap/simulator/host/least-squares.ts';

test('a system of equations is solved, with rows exchanged where that is needed', (t) => {
  const solution = solveLinear(
    [
      [0, 2, 1],
      [1, 1, 1],
      [2, 0, 3],
    ],
    [7, 6, 11],
  );
  solution.forEach((value, i) => t.true(Math.abs(value - [1, 2, 3][i]!) < 1e-12));
});

test('unknowns that observations tell are found, others stay at their guess', (t) => {
  const observations = Array.from({ length: 50 }, (_, i) => ({ terms: [1, i, 0], value: 5 + 30 * i }));
  const [constant, slope, untold] = fitLinear(observations, [20, 10, 7], 20);
  t.true(Math.abs(constant! - 5) < 1);
  t.true(Math.abs(slope! - 30) < 0.5);
  t.is(Math.round(untold!), 7);
});
