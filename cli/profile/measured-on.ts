import { LOCAL_CPU } from '../../soap/cluster/device-types.ts';
import type { KernelProvider } from '../../soap/job/kernel-providers.ts';
import { kernelsVersion, KERNELS_VERSION } from '../../soap/version.ts';
import { gpusHere } from '../../runtime/kernels/create-engine.ts';
import type { EngineOrder } from '../../runtime/profile/profile-kernels.ts';
import { gpuTypeOf } from '../machine/this-machine.ts';
import { UsageError } from '../command-line/usage-error.ts';

/** What a profile is of. */
export interface MeasuredOn {
  /** The two keys of what is measured in a table of costs. */
  readonly deviceType: string;
  readonly kernels: string;
  readonly engine: EngineOrder;
  /** Whether iterations are run too: what they are fitted to is the share of the cores in the work. */
  readonly withIterations: boolean;
}

/** A core of this machine, as its devices have where they compute on none of its GPUs. */
export const ON_A_CORE: MeasuredOn = {
  deviceType: LOCAL_CPU.type,
  kernels: KERNELS_VERSION,
  engine: { provider: 'cpu', threads: 1 },
  withIterations: true,
};

/**
 * What `soapstone run` would plan for: a GPU of CUDA where the provider computes on one, else a core.
 * @param asked what a command line names, which must be there
 * @param ofJob what the job names: the planner takes a core for what it does not know
 * @param find which GPUs a provider computes on here
 * @throws {UsageError} where what is asked for cannot be measured
 */
export function measuredOn(
  asked: KernelProvider | undefined,
  ofJob: KernelProvider,
  find: typeof gpusHere = gpusHere,
): MeasuredOn {
  const [gpu] = find(asked ?? ofJob);
  if (gpu !== undefined) {
    const engine = { provider: 'cuda', threads: 1 } as const;
    return { deviceType: gpuTypeOf(gpu), kernels: kernelsVersion('cuda'), engine, withIterations: false };
  }
  if (asked === undefined || asked === 'auto' || asked === 'cpu') return ON_A_CORE;
  const why = asked === 'cuda' ? 'there is no GPU of CUDA here' : 'nothing is planned by what it takes';
  throw new UsageError(`--provider is ${asked}, and ${why}; expected auto or cpu, or on a machine with a GPU cuda`);
}
