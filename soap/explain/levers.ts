import type { Cluster, ClusterDescription } from '../cluster/cluster.ts';
import { createCluster } from '../cluster/topology.ts';
import type { TrainingGraph } from '../graph/loss.ts';
import type { PlanningProblem } from '../search/evaluate.ts';
import { batchOf, evaluate } from '../search/evaluate.ts';
import type { Strategy } from '../strategy/strategy.ts';
import { validateStrategy } from '../strategy/validate.ts';
import { faster, widerConnections } from './cluster-changes.ts';
import { linkClasses } from './links.ts';

/** Something that could be changed, and what the same strategy gives then. */
export interface Lever {
  readonly change: string;
  readonly iterationMs: number;
  readonly samplesPerSecond: number;
  /** Share of more samples per second: 0.1 is a tenth more. */
  readonly gain: number;
  readonly feasible: boolean;
}

/** How many times more of everything that is tried. */
const FACTOR = 2;

/** Link classes that are tried: those whose links are busy longest. */
const MAX_CLASSES = 4;

/**
 * What would help most, best first: twice the bandwidth of a class of links, one device twice as fast, all devices twice as
 * fast, twice the batch. Each is simulated with the same strategy; a new search may find more. What would make it slower, since tasks
 * then come in a worse order (Graham, "Bounds on Multiprocessing Timing Anomalies", 1969), is left out.
 * @param busyLinksUs by link id
 * @param busiestDevice the one that is faster
 * @param largerBatch the model for a larger batch, where it has one
 */
export function leversOf(
  problem: PlanningProblem,
  strategy: Strategy,
  busyLinksUs: readonly number[],
  busiestDevice: number,
  largerBatch: TrainingGraph | undefined,
): Lever[] {
  const now = evaluate(problem, strategy);
  const leverOf = (change: string, changed: PlanningProblem): Lever => {
    const { iterationMs, samplesPerSecond, feasible } = evaluate(changed, strategy);
    return { change, iterationMs, samplesPerSecond, gain: samplesPerSecond / now.samplesPerSecond - 1, feasible };
  };
  const onCluster = (change: string, description: ClusterDescription): Lever =>
    leverOf(change, { ...problem, cluster: createCluster(description) });
  const { description, devices } = problem.cluster;
  const levers = busiestClasses(problem.cluster, busyLinksUs).map(({ title, connections }) =>
    onCluster(`twice the bandwidth of the links ${title}`, widerConnections(description, connections, FACTOR)),
  );
  levers.push(
    onCluster(`${devices[busiestDevice]!.name} twice as fast`, {
      ...description,
      devices: description.devices.map((each, id) => (id === busiestDevice ? faster(each, FACTOR) : each)),
    }),
  );
  if (devices.length > 1) {
    const all = description.devices.map((each) => faster(each, FACTOR));
    levers.push(onCluster('all devices twice as fast', { ...description, devices: all }));
  }
  if (largerBatch !== undefined && validateStrategy(largerBatch.graph, devices.length, strategy).length === 0) {
    levers.push(leverOf(`a batch of ${batchOf(largerBatch)} samples`, { ...problem, training: largerBatch }));
  }
  return levers.filter(({ gain }) => gain >= 0).sort((a, b) => b.gain - a.gain);
}

function busiestClasses(cluster: Cluster, busyUs: readonly number[]): ReturnType<typeof linkClasses> {
  const sum = (connections: readonly number[]): number =>
    connections.reduce((most, i) => Math.max(most, busyUs[2 * i]!, busyUs[2 * i + 1]!), 0);
  return linkClasses(cluster)
    .filter(({ connections }) => sum(connections) > 0)
    .sort((a, b) => sum(b.connections) - sum(a.connections))
    .slice(0, MAX_CLASSES);
}
