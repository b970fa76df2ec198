import { availableParallelism } from 'node:os';
import { LOCAL_CPU } from '../../soap/cluster/device-types.ts';
import type { CostTable, DeviceCosts, HostCosts } from '../../soap/cost/cost-table.ts';
import { createCostTable } from '../../soap/cost/cost-table.ts';
import type { FitSample, Prior } from '../../soap/simulator/host/fit.ts';
import { FITTED, fitHostCosts } from '../../soap/simulator/host/fit.ts';
import type { HostWork } from '../../soap/simulator/host/items.ts';
import { hostWork, hostWorkUs, stretchedWork } from '../../soap/simulator/host/predict.ts';
import type { HostMeasurements } from '../../soap/simulator/host/prior.ts';
import { hostPrior } from '../../soap/simulator/host/prior.ts';
import { KERNELS_VERSION } from '../../soap/version.ts';
import { costsFor } from '../machine/costs.ts';
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

/** What is known of a host once iterations were run. */
export type FittedHost = Required<Pick<DeviceCosts, 'host' | 'crowdedHost'>>;

/**
 * How far off costs may be where devices take turns on cores: tasks take what they took, but messages find their receivers asleep, their
 * core in use and their caches cold.
 */
const CROWDED_SIGMA: Partial<Prior['sigma']> = {
  taskShare: 0.05,
  updateShare: 0.05,
  sendUs: 0.7,
  messageUs: 0.7,
  receiveUs: 1,
  wakeUs: 1,
  messageUsPerMiB: 0.7,
  receiveUsPerMiB: 0.7,
  switchUs: 1,
};

/** The same for costs that are not among them. */
const OTHER_CROWDED_SIGMA = 0.2;

/** Fits the costs of this host to probes of a model: to those that have a core for each device, then to the others. */
export function fitToProbes(
  target: ProfileTarget,
  basis: FitBasis,
  probes: readonly MeasuredProbe[],
  cores: number = availableParallelism(),
): FittedHost {
  const prior = hostPrior({ cores, startUs: basis.startUs, messages: basis.messages });
  const isCrowded = ({ cluster: { devices } }: MeasuredProbe): boolean => devices.length > prior.costs.cores;
  const apart = probesWithWork(
    target,
    basis.table,
    prior.costs,
    probes.filter((probe) => !isCrowded(probe)),
  );
  const recorded = apart.map(({ work, run: { spans } }) => ({ ...work, spans }));
  const host = fitHostCosts(apart.map(sampleOf), withRecorded(prior, recorded));
  const crowded = probesWithWork(target, basis.table, prior.costs, probes.filter(isCrowded));
  const sigmas = FITTED.map((name) => [name, CROWDED_SIGMA[name] ?? OTHER_CROWDED_SIGMA]);
  const crowdedPrior = { costs: host, sigma: { ...prior.sigma, ...Object.fromEntries(sigmas) } };
  return { host, crowdedHost: fitHostCosts(crowded.map(sampleOf), crowdedPrior) };
}

interface ProbeWithWork extends MeasuredProbe {
  readonly work: HostWork;
}

function probesWithWork(
  { training, job }: ProfileTarget,
  table: CostTable,
  costs: HostCosts,
  probes: readonly MeasuredProbe[],
): ProbeWithWork[] {
  // Tasks as they take by themselves; the fit stretches them.
  const alone = { ...costs, taskShare: 1, updateShare: 1 };
  const known = withHost(table, { host: alone, crowdedHost: alone });
  return probes.map((probe) => {
    const { cluster, strategy } = probe;
    const { name, gradientClipNorm } = job.spec.training.optimizer;
    const clipsGradients = gradientClipNorm !== undefined;
    const problem = { training, cluster, costs: costsFor(known, cluster, name), clipsGradients };
    return { ...probe, work: hostWork(problem, strategy, alone) };
  });
}

function sampleOf({ work, run }: ProbeWithWork): FitSample {
  return {
    measuredUs: run.iterationMs * 1000,
    // Of a machine that others use, an iteration says what it takes beside them.
    predictUs: (host) => hostWorkUs(stretchedWork(work, host), host, run.otherCores),
  };
}

/** A table with costs of this host. */
export function withHost(table: CostTable, fitted: FittedHost): CostTable {
  return createCostTable(
    table.devices.map((each) =>
      each.deviceType === LOCAL_CPU.type && each.kernels === KERNELS_VERSION ? { ...each, ...fitted } : each,
    ),
  );
}
