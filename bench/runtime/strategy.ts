import { presetCluster } from '../../soap/cluster/presets.ts';
import { createRooflineCosts } from '../../soap/cost/roofline.ts';
import type { TrainingGraph } from '../../soap/training/loss.ts';
import { evaluate } from '../../soap/simulator/evaluate.ts';
import { search } from '../../soap/search/search.ts';
import { dataParallel, singleDevice } from '../../soap/baselines/index.ts';
import type { Strategy } from '../../soap/strategy/strategy.ts';
import { DEFAULT_SEARCH } from '../../soap/job/search-defaults.ts';

/** What is held against PyTorch: one device, data parallelism as DDP has it, and what a search finds. */
export type PlanName = 'one device' | 'data' | 'found';

/** Proposals of the search: a count, not a time, so that it finds the same on any machine. */
const PROPOSALS = 3000;

/** How much faster than data parallelism a found plan must promise to be: predictions are off by more than that. */
const MIN_GAIN = 1.05;

/** The strategy of a name on so many devices of this machine. */
export function strategyOf(training: TrainingGraph, devices: number, plan: PlanName): Strategy {
  const cluster = presetCluster(`localx${devices}`);
  switch (plan) {
    case 'one device':
      return singleDevice(training.graph);
    case 'data':
      return dataParallel(training.graph, cluster);
    case 'found': {
      const problem = { training, cluster, costs: createRooflineCosts() };
      const start = ['data', 'expert', 'random'] as const;
      const settings = { seconds: 3600, proposals: PROPOSALS, seed: 1, beta: DEFAULT_SEARCH.beta, chains: 3, start };
      const { strategy } = search(problem, settings, { nowMs: () => performance.now() }).best;
      const data = dataParallel(training.graph, cluster);
      const [foundMs, dataMs] = [strategy, data].map((each) => evaluate(problem, each).iterationMs);
      return dataMs! > MIN_GAIN * foundMs! ? strategy : data;
    }
  }
}
