import test from 'ava';
import { cooledBeta } from '../../soap/search/cooling.ts';

test('the inverse temperature rises from a tenth to ten times what is asked, in longer and longer cycles', (t) => {
  const betas = Array.from({ length: 10_000 }, (_, proposals) => cooledBeta(200, proposals));
  t.true(betas.every((beta) => beta > 19.9 && beta < 2000.1));
  const starts = betas.flatMap((beta, i) => (i > 0 && beta < betas[i - 1]! ? [i] : []));
  t.true(Math.abs(starts[0]! - 500) <= 1, String(starts));
  const lengths = starts.slice(1).map((start, i) => start - starts[i]!);
  lengths.slice(1).forEach((length, i) => t.true(Math.abs(length / lengths[i]! - 1.5) < 0.01));
  for (const start of starts) {
    t.true(betas[start]! < 21);
    t.true(betas[start - 1]! > 1950);
  }
});
