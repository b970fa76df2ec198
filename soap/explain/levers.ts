import type { Cluster, ClusterDescription } from '../cluster/cluster.ts';
import { createCluster } from '../cluster/topology.ts';
import type { TrainingGraph } from '../training/loss.ts';
import type { PlanningProblem } from '../simulator/evaluate.ts';
import { evaluate } from '../simulator/evaluate.ts';
import { batchSizeOf } from '../training/batch-size.ts';
import { hostOf } from '../simulator/host/predict.ts';
import type { Strategy } from '../strategy/strategy.ts';
import { validateStrategy } from '../strategy/validate.ts';
import { faster, widerConnections } from './cluster-changes.ts';
import type { LinkClass } from './links.ts';
import { linkClasses } from './links.ts';
import { placesOf } from './places.ts';

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
 * What would help most, best first, what cannot be executed last: twice the bandwidth of a class of links, or of the whole network where
 * it has several; one device twice as fast, all devices twice as fast, twice the batch. Each is simulated with the same strategy; a new
 * search may find more. What would make it slower, since tasks then come in a worse order (Graham, "Bounds on Multiprocessing Timing
 * Anomalies", 1969), is left out. So are the links of devices on one host that was measured: what their messages cost there is not the
 * links'.
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
  const wider = hostOf(problem.cluster, problem.costs) === undefined ? widerLinks(problem.cluster, busyLinksUs) : [];
  const levers = wider.map(({ title, connections }) =>
    onCluster(`twice the bandwidth of ${title}`, widerConnections(description, connections, FACTOR)),
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
    levers.push(leverOf(`a batch of ${batchSizeOf(largerBatch)} samples`, { ...problem, training: largerBatch }));
  }
  return levers
    .filter(({ gain }) => gain >= 0)
    .sort((a, b) => Number(b.feasible) - Number(a.feasible) || b.gain - a.gain);
}

/** The classes of links that are busy longest, and the whole network where several classes of it are busy. */
function widerLinks(cluster: Cluster, busyUs: readonly number[]): LinkClass[] {
  const longest = ({ connections }: LinkClass): number =>
    connections.reduce((most, i) => Math.max(most, busyUs[2 * i]!, busyUs[2 * i + 1]!), 0);
  const busy = linkClasses(cluster)
    .filter((each) => longest(each) > 0)
    .sort((a, b) => longest(b) - longest(a));
  const classes = busy.slice(0, MAX_CLASSES).map(({ title, ...each }) => ({ ...each, title: `the links ${title}` }));
  const places = placesOf(cluster.description);
  const inNetwork = ({ connections }: LinkClass): boolean => connections.every((i) => places[i] === 'network');
  if (busy.filter(inNetwork).length < 2) return classes;
  const connections = places.flatMap((place, i) => (place === 'network' ? [i] : []));
  return [{ title: 'the whole network', connections }, ...classes];
}
