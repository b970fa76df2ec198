import test from 'ava';
import * as fc from 'fast-check';
import type { RoundTime } from '../../cli/profile/drift.ts';
import { roundFactors } from '../../cli/profile/drift.ts';

test('how slow a machine was in each round is found, whichever runs took part in the last one', (t) => {
  const slowness = fc.double({ min: 0.7, max: 1.4, noNaN: true });
  fc.assert(
    fc.property(
      fc.array(fc.double({ min: 1, max: 100, noNaN: true }), { minLength: 3, maxLength: 20 }),
      fc.tuple(slowness, slowness, slowness),
      fc.nat(),
      (ms, slow, seed) => {
        const again = new Set(ms.map((_, run) => run).filter((run) => (seed >> (run % 20)) & 1 || run === 0));
        const times = slow.flatMap((times, round) =>
          ms.flatMap((each, run): RoundTime[] =>
            round < 2 || again.has(run) ? [{ run, round, ms: each * times }] : [],
          ),
        );
        const factors = roundFactors(times);
        const middle = Math.sqrt(slow[0] * slow[1]);
        const wanted = again.size === ms.length ? Math.cbrt(slow[0] * slow[1] * slow[2]) : middle;
        slow.forEach((each, round) => t.true(Math.abs(factors.get(round)! * wanted - each) < 1e-6 * each));
      },
    ),
  );
});

test('what one run alone takes longer is no slowness of the round', (t) => {
  const times = [10, 20, 30, 40, 50].flatMap((ms, run): RoundTime[] => [
    { run, round: 0, ms },
    { run, round: 1, ms: run === 2 ? 3 * ms : ms },
  ]);
  for (const factor of roundFactors(times).values()) t.true(Math.abs(factor - 1) < 1e-9);
  t.is(roundFactors([]).size, 0);
});
