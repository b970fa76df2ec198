import type { HostCosts } from '../../soap/cost/cost-table.ts';
import type { CostTable } from '../../soap/cost/cost-table.ts';
import type { FitSample, Prior } from '../../soap/simulator/host/fit.ts';
import { fitHostCosts } from '../../soap/simulator/host/fit.ts';
import { hostWork, hostWorkUs } from '../../soap/simulator/host/predict.ts';
import { costsFor } from '../costs.ts';
import type { Probe } from './probe.ts';
import type { ProfileTarget } from './target.ts';

/** A probe with what its iteration took. */
export interface MeasuredProbe extends Probe {
  readonly target: ProfileTarget;
  readonly iterationMs: number;
}

/**
 * Fits the costs of this host to probes.
 * @param tableWith the table with costs of the host in it, which tell what tasks add to kernels
 */
export function fitToProbes(
  probes: readonly MeasuredProbe[],
  prior: Prior,
  tableWith: (host: HostCosts) => CostTable,
): HostCosts {
  // Tasks as they take by themselves; the fit stretches them.
  const alone = { ...prior.costs, taskShare: 1 };
  const table = tableWith(alone);
  const samples = probes.map(({ target: { training, job }, cluster, strategy, iterationMs }): FitSample => {
    const costs = costsFor(table, cluster, job.spec.training.optimizer.name);
    const work = hostWork({ training, cluster, costs }, strategy, alone);
    return {
      measuredUs: iterationMs * 1000,
      predictUs: (host) => hostWorkUs({ ...work, taskUs: work.taskUs.map((us) => us * host.taskShare) }, host),
    };
  });
  return fitHostCosts(samples, prior);
}
