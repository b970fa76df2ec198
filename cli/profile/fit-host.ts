import type { HostCosts } from '../../soap/cost/cost-table.ts';
import type { CostTable } from '../../soap/cost/cost-table.ts';
import type { FitSample, Prior } from '../../soap/simulator/host/fit.ts';
import { fitHostCosts } from '../../soap/simulator/host/fit.ts';
import { hostWork, hostWorkUs } from '../../soap/simulator/host/predict.ts';
import { costsFor } from '../costs.ts';
import type { MeasuredRun, Probe } from './probe.ts';
import { withRecorded } from './recorded.ts';
import type { ProfileTarget } from './target.ts';

/** A probe with what its iteration took. */
export interface MeasuredProbe extends Probe {
  readonly target: ProfileTarget;
  readonly run: MeasuredRun;
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
  const works = probes.map(({ target: { training, job }, cluster, strategy }) => {
    const costs = costsFor(table, cluster, job.spec.training.optimizer.name);
    return hostWork({ training, cluster, costs }, strategy, alone);
  });
  const samples = works.map((work, i): FitSample => ({
    measuredUs: probes[i]!.run.iterationMs * 1000,
    predictUs: (host) =>
      hostWorkUs({ ...work, taskUs: work.taskUs.map((us) => us * host.taskShare) }, host, probes[i]!.run.otherCores),
  }));
  // Where devices take turns on a core, what they record has the turns of others in it.
  const recorded = works
    .map((work, i) => ({ ...work, spans: probes[i]!.run.spans }))
    .filter(({ spans }) => spans.length <= prior.costs.cores);
  return fitHostCosts(samples, withRecorded(prior, recorded));
}
