import type { Cluster } from '../cluster/cluster.ts';
import type { Graph } from '../graph/graph.ts';
import type { OptimizerName } from '../job/training-job.ts';
import type { Strategy } from '../strategy/strategy.ts';
import { convolutionalExpert } from './convolutional-expert.ts';
import { isRecurrent, recurrentExpert } from './recurrent-expert.ts';
import { transformerExpert } from './transformer-expert.ts';

/**
 * What experts do with a model of this kind: recurrent ones as GNMT, others with attention as Megatron-LM, all others as one
 * weird trick has it.
 * @param optimizer decides how much memory parameters need
 */
export function expertStrategy(graph: Graph, cluster: Cluster, optimizer: OptimizerName = 'sgd'): Strategy {
  if (graph.ops.some(isRecurrent)) return recurrentExpert(graph, cluster);
  if (graph.ops.some(({ kind }) => kind === 'attention')) return transformerExpert(graph, cluster, optimizer);
  return convolutionalExpert(graph, cluster);
}
