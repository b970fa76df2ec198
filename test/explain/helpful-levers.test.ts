import test from 'ava';
import { explanationText } from '../../cli/explanation/text.ts';
import { explain } from '../../soap/explain/explanation.ts';
import { helpfulLevers } from '../../soap/explain/helpful-levers.ts';
import type { Lever } from '../../soap/explain/levers.ts';
import { createRooflineCosts } from '../../soap/cost/roofline.ts';
import { presetCluster } from '../../soap/cluster/presets.ts';
import { attachLoss } from '../../soap/training/loss.ts';
import { builtinModel } from '../../soap/models/index.ts';
import { dataParallel } from '../../soap/baselines/data-parallel.ts';

const lever = (change: string, gain: number, feasible: boolean = true): Lever => ({
  change,
  gain,
  feasible,
  iterationMs: 1,
  samplesPerSecond: 100 * (1 + gain),
});

test('what would be shown as +0.0% is no help, whatever is left of it behind the decimals', (t) => {
  const levers = [lever('a', 0.2), lever('b', 0.0006), lever('c', 0.0004), lever('d', 0), lever('e', 0.3, false)];
  const { helpful, useless } = helpfulLevers(levers);
  t.deepEqual(
    helpful.map(({ change }) => change),
    ['a', 'b', 'e'],
  );
  t.deepEqual(useless, ['c', 'd']);
});

test('the explanation lists what helps and says of the rest in a sentence that it does not', (t) => {
  const training = attachLoss(builtinModel('lenet', 16, 1).graph, 'crossEntropy');
  const problem = { training, cluster: presetCluster('p100x2'), costs: createRooflineCosts() };
  const { explanation } = explain(problem, dataParallel(training.graph, problem.cluster));
  const end = (levers: readonly Lever[]): string =>
    explanationText({ ...explanation, levers }).split('what would help most, with the same strategy:\n')[1] ?? '';
  const some = end([lever('wider links', 0.25), lever('a faster device', 0), lever('another', 0.0001)]);
  t.regex(some, /^ {2}change .*\n {2}wider links .* \+25\.0%\n/);
  t.regex(some, /\n {2}By themselves make no difference: a faster device, another\.\n$/);
  t.notRegex(some, /\+0\.0%/);
  t.is(end([lever('a faster device', 0)]), '  Nothing that was tried helps by itself: a faster device.\n');
  t.is(end([]), '  Nothing that was tried helps.\n');
});
