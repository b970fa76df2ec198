import { availableParallelism } from 'node:os';
import { LOCAL_CPU } from '../../soap/cluster/device-types.ts';
import type { CostTable, HostCosts } from '../../soap/cost/cost-table.ts';
import { createCostTable } from '../../soap/cost/cost-table.ts';
import type { FitSample } from '../../soap/simulator/host/fit.ts';
import { fitHostCosts } from '../../soap/simulator/host/fit.ts';
import { hostWork, hostWorkUs } from '../../soap/simulator/host/predict.ts';
import type { HostMeasurements } from '../../soap/simulator/host/prior.ts';
import { hostPrior } from '../../soap/simulator/host/prior.ts';
import { KERNELS_VERSION } from '../../soap/version.ts';
import { costsFor } from '../costs.ts';
import type { MeasuredRun, Probe } from './probe.ts';
import { withRecorded } from './recorded.ts';
import type { ProfileTarget } from './target.ts';

/** A probe with what its iteration took. */
export interface MeasuredProbe extends Probe {
  readonly run: MeasuredRun;
}

/** What is measured before iterations are. */
export interface FitBasis extends Omit<HostMeasurements, 'cores'> {
  readonly table: CostTable;
}

/** Fits the costs of this host to probes of a model. */
export function fitToProbes(
  { training, job }: ProfileTarget,
  { table, startUs, messages }: FitBasis,
  probes: readonly MeasuredProbe[],
): HostCosts {
  const prior = hostPrior({ cores: availableParallelism(), startUs, messages });
  // Tasks as they take by themselves; the fit stretches them.
  const alone = { ...prior.costs, taskShare: 1 };
  const known = withHost(table, alone);
  const works = probes.map(({ cluster, strategy }) => {
    const costs = costsFor(known, cluster, job.spec.training.optimizer.name);
    return hostWork({ training, cluster, costs }, strategy, alone);
  });
  const samples = works.map((work, i): FitSample => ({
    measuredUs: probes[i]!.run.iterationMs * 1000,
    predictUs: (host) => hostWorkUs({ ...work, taskUs: work.taskUs.map((us) => us * host.taskShare) }, host),
  }));
  // Where devices take turns on a core, what they record has the turns of others in it.
  const recorded = works
    .map((work, i) => ({ ...work, spans: probes[i]!.run.spans }))
    .filter(({ spans }) => spans.length <= prior.costs.cores);
  return fitHostCosts(samples, withRecorded(prior, recorded));
}

/** A table with costs of this host. */
export function withHost(table: CostTable, host: HostCosts): CostTable {
  return createCostTable(
    table.devices.map((each) =>
      each.deviceType === LOCAL_CPU.type && each.kernels === KERNELS_VERSION ? { ...each, host } : each,
    ),
  );
}
