import { isProcessor } from '../../soap/cluster/device-types.ts';
import type { KernelProvider } from '../../soap/job/kernel-providers.ts';
import type { Plan } from '../../soap/plan/plan.ts';
import { UNKNOWN_TYPE } from '../discovery/node-devices.ts';
import type { DeviceMeasurement } from '../../soap/measurement/measurement.ts';
import type { Visit } from './visit.ts';
import { find } from './visit.ts';

/** What leaves a GPU idle. */
const ON_PROCESSORS: ReadonlySet<KernelProvider> = new Set(['cpu', 'reference']);

/**
 * Says whether devices compute on what the job holds for them: a pod whose image lacks the libraries of its GPU computes on the
 * processor, as `training.kernels: auto` has it, and the GPU idles. Of devices that nothing names nobody can say it.
 */
export function compareAccelerators(visit: Visit, { cluster }: Plan, devices: readonly DeviceMeasurement[]): void {
  const held = devices.flatMap(({ device, kernels }) => {
    const { name, type } = cluster.devices[device] ?? { type: UNKNOWN_TYPE };
    return kernels === undefined || type === UNKNOWN_TYPE ? [] : [{ name, type, kernels }];
  });
  if (held.length === 0) return;
  const idle = held.filter(({ type, kernels }) => !isProcessor(type) && ON_PROCESSORS.has(kernels));
  const [first] = idle;
  if (first === undefined) {
    const all = [...new Set(held.map(({ kernels }) => kernels))].join(' and ');
    find(visit, 'DevicesUsed', 'True', 'ComputesOnDevices', `kernels run by ${all}`);
    return;
  }
  const others = idle.length > 1 ? `, and ${idle.length - 1} more` : '';
  find(
    visit,
    'DevicesUsed',
    'False',
    'DevicesIdle',
    `${first.name} (${first.type}) is held and not used${others}: kernels run by ${first.kernels}; ` +
      "give spec.template an image with the libraries of the device, as Soapstone's docs/gpu.md says, and leave spec.training.kernels at auto",
  );
}
