import type { Cluster } from '../../soap/cluster/cluster.ts';
import type { Graph } from '../../soap/graph/graph.ts';
import { createRandom } from '../../soap/random.ts';
import { dataParallel, expertStrategy, modelParallel, singleDevice } from '../../soap/baselines/index.ts';
import { randomStrategy } from '../../soap/strategy/random.ts';
import type { Strategy } from '../../soap/strategy/strategy.ts';

/** One device, the baselines, and so many random strategies, by what to call them. */
export function usualStrategies(graph: Graph, cluster: Cluster, random: number): [name: string, strategy: Strategy][] {
  const seeds = Array.from({ length: random }, (_, i) => i + 1);
  return [
    ['one', singleDevice(graph)],
    ['data', dataParallel(graph, cluster)],
    ['model', modelParallel(graph, cluster)],
    ['expert', expertStrategy(graph, cluster)],
    ...seeds.map((seed): [string, Strategy] => [`random ${seed}`, randomStrategy(graph, cluster, createRandom(seed))]),
  ];
}
