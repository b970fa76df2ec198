import { presetCluster } from '../../soap/cluster/presets.ts';
import { createRooflineCosts } from '../../soap/cost/roofline.ts';
import { attachLoss } from '../../soap/training/loss.ts';
import { builtinGraph } from '../../soap/models/index.ts';
import { evaluate } from '../../soap/simulator/evaluate.ts';
import { dataParallel } from '../../soap/baselines/data-parallel.ts';
import type { Plan } from '../../soap/plan/plan.ts';
import { createPlan } from '../../soap/plan/create-plan.ts';

/** Data parallel LeNet on a preset. */
export function lenetPlan(cluster: string, batch: number): Plan {
  const problem = {
    training: attachLoss(builtinGraph('lenet', batch), 'crossEntropy'),
    cluster: presetCluster(cluster),
    costs: createRooflineCosts(),
  };
  const strategy = dataParallel(problem.training.graph, problem.cluster);
  return createPlan(problem, strategy, { prediction: evaluate(problem, strategy), baselines: {}, origin: 'data' });
}
