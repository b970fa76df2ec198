import type { Strategy } from '../strategy/strategy.ts';
import { buildTaskGraph } from '../tasks/build.ts';
import { bytesBeyondMessage, oversizedMessage } from '../tasks/message-limit.ts';
import { BYTES_PER_ELEMENT, wireShare } from '../tasks/work.ts';
import type { NetworkProblem } from './delta/network.ts';

/**
 * A sentence about the largest message of a strategy, where it is larger than messages may be. Builds the whole task graph where the
 * model has a tensor that is as large; hardly any has.
 */
export function messageProblem(problem: NetworkProblem, strategy: Strategy): string | undefined {
  const { training, cluster, costs, wire } = problem;
  const { graph } = training;
  const isLarge = (shape: readonly number[]): boolean =>
    bytesBeyondMessage(shape.reduce((a, b) => a * b, BYTES_PER_ELEMENT * wireShare(wire))) > 0;
  if (!graph.tensors.some(({ shape }) => isLarge(shape))) return undefined;
  return oversizedMessage(graph, buildTaskGraph(training, strategy, cluster, costs, problem));
}
