/**
 * The proven optimum of small problems beside what chains find within a second, as docs/performance/planning.md quotes it. The paper,
 * section 8.4: on four devices the search finds the optimum of LeNet and of RNNLM with two steps.
 *   npm run bench:optimum                     most spaces, a minute
 *   npm run bench:optimum -- --deep           also the one that takes many minutes
 *   npm run bench:optimum -- --beta 20        chains with another beta
 */
import { parseArgs } from 'node:util';
import { presetCluster } from '../soap/cluster/presets.ts';
import { createRooflineCosts } from '../soap/cost/roofline.ts';
import { attachLoss } from '../soap/training/loss.ts';
import { builtinGraph } from '../soap/models/index.ts';
import type { PlanningProblem } from '../soap/simulator/evaluate.ts';
import { findOptimum } from '../soap/search/optimum/find-optimum.ts';
import type { SpaceOptions } from '../soap/search/optimum/space.ts';
import { runChains } from '../soap/search/run-chains.ts';
import { baselinesOf } from '../soap/search/baselines.ts';
import { chainStarts } from '../soap/search/starts.ts';
import { DEFAULT_SEARCH } from '../soap/job/search-defaults.ts';

/** 64 samples for each of four P100s. */
const MODELS = [
  {
    name: 'lenet',
    parameters: {},
    spaces: [
      { devices: 'blocks', partsPerDevice: 2, followers: true },
      { devices: 'sets', partsPerDevice: 1, followers: true },
      { devices: 'blocks', partsPerDevice: 1, followers: false },
    ],
  },
  {
    name: 'rnnlm',
    parameters: { steps: 2 },
    spaces: [
      { devices: 'blocks', partsPerDevice: 2, followers: true },
      { devices: 'sets', partsPerDevice: 1, followers: false },
    ],
  },
] as const satisfies readonly { name: string; parameters: object; spaces: readonly SpaceOptions[] }[];

/** Four parts a device, as chains find them for RNNLM: they pass work on while they go on. */
const DEEP: SpaceOptions = { devices: 'blocks', partsPerDevice: 4, followers: true };

const SEEDS = [1, 2, 3, 4];

function textOf({ devices, partsPerDevice, followers }: SpaceOptions): string {
  return `${devices}, up to ${partsPerDevice} parts a device, ${followers ? 'layer by layer' : 'every op free'}`;
}

/** What each space's optimum is, and how much had to be looked at to prove it. */
function prove(problem: PlanningProblem, spaces: readonly SpaceOptions[]): void {
  const rows: Record<string, object> = {};
  for (const options of spaces) {
    const startMs = performance.now();
    const { best, strategies, bounds, simulations } = findOptimum(problem, options);
    rows[textOf(options)] = {
      'optimum ms': best?.prediction.iterationMs.toFixed(4),
      strategies: strategies.toExponential(2),
      bounds,
      simulations,
      'proven in s': ((performance.now() - startMs) / 1000).toFixed(1),
    };
  }
  console.table(rows);
}

/** What chains in one thread find within a second, without being told of what is proven. */
function find(problem: PlanningProblem, beta: number): void {
  const rows: Record<string, object> = {};
  const { exact: _, ...baselines } = baselinesOf(problem);
  for (const seed of SEEDS) {
    const settings = { seconds: 1, seed, beta, chains: 2, start: ['data', 'random'] as const };
    const startMs = performance.now();
    const elapsedMs = (): number => performance.now() - startMs;
    const environment = { elapsedMs, onProgress: () => undefined, isInterrupted: () => false };
    const found = runChains(problem, chainStarts(problem, settings, baselines), settings, environment);
    rows[`chains, seed ${seed}`] = {
      'found ms': Math.min(...found.map(({ energyMs }) => energyMs)).toFixed(4),
      proposals: found.reduce((sum, { proposals }) => sum + proposals, 0),
      s: (elapsedMs() / 1000).toFixed(2),
    };
  }
  console.table(rows);
}

const { values } = parseArgs({
  options: {
    beta: { type: 'string', default: String(DEFAULT_SEARCH.beta) },
    deep: { type: 'boolean', default: false },
  },
});
for (const { name, parameters, spaces } of MODELS) {
  const training = attachLoss(builtinGraph(name, 256, parameters), 'crossEntropy');
  const problem = { training, cluster: presetCluster('p100x4'), costs: createRooflineCosts() };
  console.log(`\n${name} on four P100s, ${training.graph.ops.length} ops`);
  find(problem, Number(values.beta));
  prove(problem, values.deep && name === 'rnnlm' ? [...spaces, DEEP] : spaces);
}
