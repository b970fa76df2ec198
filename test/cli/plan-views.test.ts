import test from 'ava';
import { opsAsPlanned, opsThatMatter } from '../../cli/planning/plan-views.ts';
import { dataParallel } from '../../soap/baselines/data-parallel.ts';
import { presetCluster } from '../../soap/cluster/presets.ts';
import { createRooflineCosts } from '../../soap/cost/roofline.ts';
import { attachLoss } from '../../soap/training/loss.ts';
import { builtinGraph } from '../../soap/models/index.ts';
import { createPlan } from '../../soap/plan/create-plan.ts';
import { evaluate } from '../../soap/simulator/evaluate.ts';

const BATCH = 64;
/** What each op took, in milliseconds, by the costs that the plan was made by. */
const OWN_MS = 1000;

const problem = {
  training: attachLoss(builtinGraph('lenet', BATCH), 'crossEntropy', undefined, 2),
  cluster: presetCluster('p100x2'),
  costs: createRooflineCosts(),
};
const strategy = dataParallel(problem.training.graph, problem.cluster);

test('ops as planned take as long as when the plan was made, over all micro-batches, longest first', (t) => {
  const opTimes = [{ op: problem.training.graph.ops.length - 1, computeMs: OWN_MS }];
  const prediction = evaluate(problem, strategy);
  const plan = createPlan(problem, strategy, { prediction, baselines: {}, origin: 'data', opTimes });
  const last = problem.training.graph.ops.at(-1)!.name;
  const [first, ...others] = opsAsPlanned(plan, problem);
  t.like(first, { name: last, computeMs: 2 * OWN_MS });
  const now = new Map(opsThatMatter(plan, problem).map(({ name, computeMs }) => [name, computeMs]));
  // What the file has no time of is timed by the costs of now.
  t.true(others.length > 0 && others.every(({ name, computeMs }) => computeMs === (now.get(name) ?? computeMs)));
  t.true((now.get(last) ?? 0) < OWN_MS);
});
