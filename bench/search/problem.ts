import { presetCluster } from '../../soap/cluster/presets.ts';
import { createRooflineCosts } from '../../soap/cost/roofline.ts';
import { attachLoss } from '../../soap/training/loss.ts';
import { builtinGraph, findBuiltin } from '../../soap/models/index.ts';
import type { PlanningProblem } from '../../soap/simulator/evaluate.ts';

/** A built-in model on a preset cluster, by data sheets. @param batch samples in all */
export function problemOf(name: string, cluster: string, batch: number, parameters = {}): PlanningProblem {
  const { loss } = findBuiltin(name);
  return {
    training: attachLoss(builtinGraph(name, batch, parameters), loss),
    cluster: presetCluster(cluster),
    costs: createRooflineCosts(),
  };
}
