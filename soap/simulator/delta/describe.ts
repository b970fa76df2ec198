import type { DeltaSimulation } from './delta-simulation.ts';
import { collectiveBytes } from '../summary.ts';
import type { IterationSummary } from '../summary.ts';
import { NONE } from './states.ts';

/** Sums up the accepted strategy, as `summarize` does a task graph. */
export function describeIteration(simulation: DeltaSimulation): IterationSummary {
  const { network, makespanUs } = simulation;
  const { deviceCount } = network.resources;
  return {
    iterationMs: makespanUs / 1000,
    transferredBytes: transferredBytes(simulation),
    computeMs: Math.max(0, ...network.loads.us.subarray(0, deviceCount)) / 1000,
  };
}

function transferredBytes({ network }: DeltaSimulation): number {
  const { wireShare } = network.resources;
  let bytes = 0;
  for (const { geometry, activation, gradient } of network.edges) {
    for (let pair = 0; pair < geometry.count; pair++) {
      if (activation[pair] === NONE) continue;
      const back = gradient.length > 0 && gradient[pair] !== NONE;
      bytes += wireShare * geometry.bytes[pair]! * (back ? 2 : 1);
    }
  }
  for (const { geometry, collective, fromShard, algorithms } of network.parameters) {
    for (let shard = 0; shard < geometry.count; shard++) {
      if (collective[shard] === NONE) continue;
      const devices = fromShard[shard + 1]! - fromShard[shard]!;
      bytes += collectiveBytes(algorithms[shard]!, devices, geometry.bytes[shard]! * wireShare);
    }
  }
  for (const { geometry, devices, forward, backward } of network.ops) {
    for (const [group, parts] of geometry.groups.entries()) {
      const holders = new Set(Array.from(parts, (part) => devices[part]!)).size;
      const told = (holders - 1) * parts.length;
      if (forward.gather[group] !== NONE) bytes += told * geometry.forwardStatisticsBytes[group]!;
      if (backward !== undefined && backward.gather[group] !== NONE) {
        bytes += told * geometry.backwardStatisticsBytes[group]!;
      }
    }
  }
  return bytes;
}
