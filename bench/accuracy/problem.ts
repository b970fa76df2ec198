import { availableParallelism } from 'node:os';
import { costsFor, withMeasuredLinks } from '../../cli/machine/costs.ts';
import type { KernelProfile } from '../../cli/profile/profile-machine.ts';
import { withHost } from '../../cli/profile/fit-host.ts';
import type { ProfileTarget } from '../../cli/profile/target.ts';
import type { Cluster } from '../../soap/cluster/cluster.ts';
import { localCluster } from '../../soap/cluster/presets.ts';
import type { PlanningProblem } from '../../soap/simulator/evaluate.ts';
import { hostPrior } from '../../soap/simulator/host/prior.ts';

/** A model's strategies on so many devices of this machine, as far as it is known before iterations are run. */
export interface FirstProblem extends PlanningProblem {
  /** The cluster with links as in presets. */
  readonly plain: Cluster;
}

/** The problem in which strategies are found: kernels and messages are measured, the rest of the host's costs guessed. */
export function firstProblem(
  { training, job }: ProfileTarget,
  { table, startUs, messages }: KernelProfile,
  devices: number,
): FirstProblem {
  const { costs: host } = hostPrior({ cores: availableParallelism(), startUs, messages });
  const plain = localCluster(devices);
  const optimizer = job.spec.training.optimizer.name;
  const costs = costsFor(withHost(table, { host, crowdedHost: host }), plain, optimizer);
  const { wire } = job.spec.training;
  const clipsGradients = job.spec.training.optimizer.gradientClipNorm !== undefined;
  return { training, cluster: withMeasuredLinks(plain, costs), plain, costs, optimizer, wire, clipsGradients };
}
