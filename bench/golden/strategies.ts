import { presetCluster } from '../../soap/cluster/presets.ts';
import type { Cluster } from '../../soap/cluster/cluster.ts';
import { createRooflineCosts } from '../../soap/cost/roofline.ts';
import type { Graph, Op } from '../../soap/graph/graph.ts';
import type { TrainingGraph } from '../../soap/training/loss.ts';
import { opDimensions } from '../../soap/ops/index.ts';
import { createRandom } from '../../soap/random.ts';
import { dataParallel, expertStrategy, modelParallel, singleDevice } from '../../soap/baselines/index.ts';
import { divisorsUpTo } from '../../soap/region/divisors.ts';
import { randomStrategy } from '../../soap/strategy/random.ts';
import type { OpConfig, Strategy } from '../../soap/strategy/strategy.ts';
import { foundStrategy } from '../shared/found-strategy.ts';
import { partsOf } from '../../soap/strategy/partition.ts';

/** A row of the golden matrix. */
export interface MatrixStrategy {
  /** Such as `data` or `random 7`. */
  readonly name: string;
  readonly devices: number;
  readonly strategy: Strategy;
}

/** A cluster of so many devices, a core each. */
export function matrixCluster(devices: number): Cluster {
  return presetCluster(`localx${devices}`);
}

/**
 * The strategies that a golden case is trained under: one device; data, model, expert and found on each number of devices;
 * everything that is summed over split (Reduction); images cut into strips; and random degrees with random devices.
 */
export function matrixStrategies(
  training: TrainingGraph,
  randomStrategies: number,
  deviceCounts: readonly number[],
): MatrixStrategy[] {
  const { graph } = training;
  const most = Math.max(...deviceCounts);
  const rows: MatrixStrategy[] = [{ name: 'one device', devices: 1, strategy: singleDevice(graph) }];
  for (const devices of deviceCounts) {
    const cluster = matrixCluster(devices);
    rows.push({ name: 'data', devices, strategy: dataParallel(graph, cluster) });
    rows.push({ name: 'model', devices, strategy: modelParallel(graph, cluster) });
    rows.push({ name: 'expert', devices, strategy: expertStrategy(graph, cluster) });
    const problem = { training, cluster, costs: createRooflineCosts() };
    rows.push({ name: 'found', devices, strategy: foundStrategy(problem) });
  }
  const summed = summedDimensions(graph);
  rows.push({ name: 'reduction', devices: most, strategy: splitBy(graph, 2, most, () => summed) });
  if (graph.ops.some(({ kind }) => kind === 'conv2d')) {
    rows.push({ name: 'height into 7', devices: most, strategy: splitBy(graph, 7, most, () => ['height']) });
    rows.push({ name: 'height, width', devices: most, strategy: splitBy(graph, 2, most, () => ['height', 'width']) });
  }
  for (const devices of deviceCounts) {
    for (let seed = 1; seed <= randomStrategies; seed++) {
      const strategy = randomStrategy(graph, matrixCluster(devices), createRandom(100 * devices + seed));
      rows.push({ name: `random ${seed}`, devices, strategy });
    }
  }
  return rows;
}

/** Splits ops along named dimensions as far as `degree` allows; the rest stays whole on device 0. */
function splitBy(graph: Graph, degree: number, devices: number, choose: (op: Op) => readonly string[]): Strategy {
  return {
    configs: graph.ops.map((op): OpConfig => {
      const names = choose(op);
      const degrees = opDimensions(graph, op).map(({ name, size }) =>
        names.includes(name) ? divisorsUpTo(size, degree).at(-1)! : 1,
      );
      const parts = partsOf(degrees);
      return { degrees, devices: Array.from({ length: parts }, (_, part) => part % devices) };
    }),
  };
}

/** Names of the dimensions whose parts hold partial sums. */
function summedDimensions(graph: Graph): string[] {
  const dimensions = graph.ops.flatMap((op) => opDimensions(graph, op));
  return [...new Set(dimensions.filter(({ axis }) => axis === undefined).map(({ name }) => name))];
}
