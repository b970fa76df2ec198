import type { Device } from '../../soap/cluster/cluster.ts';
import { isProcessor } from '../../soap/cluster/device-types.ts';
import type { ChosenEngine } from '../kernels/create-engine.ts';

/**
 * What there is to say of what kernels run on: where that is not the processor, or is it though the plan takes the device for something
 * else. Undefined where all is as it seems.
 * @param engine its name
 */
export function engineNotice(
  provider: ChosenEngine['provider'],
  engine: string,
  { type }: Pick<Device, 'type'>,
): string | undefined {
  if (provider !== 'cpu') return `kernels run by ${engine}`;
  if (isProcessor(type)) return undefined;
  return `kernels run by ${engine}, and the plan is for a device of type ${type}: its libraries are missing, or do not load; see docs/gpu.md`;
}
