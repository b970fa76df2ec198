import { presetCluster } from '../../soap/cluster/presets.ts';
import { profileKernels } from '../../runtime/profile/profile-kernels.ts';
import { LOCAL_CPU } from '../../soap/cluster/device-types.ts';
import type { CostSource } from '../../soap/cost/cost-source.ts';
import { createCostTable } from '../../soap/cost/cost-table.ts';
import { createMeasuredCosts } from '../../soap/cost/measured.ts';
import type { TrainingGraph } from '../../soap/graph/loss.ts';
import { search } from '../../soap/search/search.ts';
import { dataParallel, singleDevice } from '../../soap/strategy/baselines/index.ts';
import type { Strategy } from '../../soap/strategy/strategy.ts';
import { KERNELS_VERSION } from '../../soap/version.ts';
import { SGD } from './sgd.ts';

/** What is held against PyTorch: one device, data parallelism as DDP has it, and what a search finds. */
export type PlanName = 'one device' | 'data' | 'found';

/** Proposals of the search: a count, not a time, so that it finds the same on any machine. */
const PROPOSALS = 3000;

/** Time for measuring the kernels of a model; what is left out is interpolated. */
const MEASURING_MS = 60_000;

/** The strategy of a name on so many devices of this machine; a search is told what kernels take here. */
export async function strategyOf(training: TrainingGraph, devices: number, plan: PlanName): Promise<Strategy> {
  const cluster = presetCluster(`localx${devices}`);
  switch (plan) {
    case 'one device':
      return singleDevice(training.graph);
    case 'data':
      return dataParallel(training.graph, cluster);
    case 'found': {
      const problem = { training, cluster, costs: await measuredCosts(training, devices) };
      const start = ['data', 'expert', 'random'] as const;
      const settings = { seconds: 3600, proposals: PROPOSALS, seed: 1, beta: 200, chains: 3, start };
      return search(problem, settings, { nowMs: () => performance.now() }).best.strategy;
    }
  }
}

async function measuredCosts({ graph }: TrainingGraph, devices: number): Promise<CostSource> {
  const orders = { graph, devices, optimizer: SGD, known: [], limitMs: MEASURING_MS };
  const { entries } = await profileKernels(orders, () => undefined);
  const deviceType = LOCAL_CPU.type;
  const measured = new Date().toISOString();
  return createMeasuredCosts(
    createCostTable([{ deviceType, kernels: KERNELS_VERSION, measured, entries, messages: [] }]),
  );
}
