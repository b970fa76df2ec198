import { arch, cpus } from 'node:os';
import type { Cluster } from '../soap/cluster/cluster.ts';
import type { LocalNumbers } from '../soap/cluster/presets.ts';
import { localCluster } from '../soap/cluster/presets.ts';

/**
 * Processes of this machine as a cluster, with the table's numbers for a core, and a source that says that nobody measured them
 * here.
 */
export function thisMachine(devices: number): Cluster {
  return localCluster(devices, {
    source: `an assumption about a core of ${processorName()}; soapstone profile measures it`,
  });
}

/** The same with links as they were measured. @param links their numbers, and where these are from */
export function thisMachineWithLinks(
  devices: number,
  links: Required<Pick<LocalNumbers, 'intraNodeBytesPerSec' | 'messageLatencyUs' | 'linkSource'>>,
): Cluster {
  const source = `an assumption about a core of ${processorName()}; kernels as ${links.linkSource} has them`;
  return localCluster(devices, { ...links, source });
}

/** Whether a cluster is processes of one machine, which is this one. */
export function isOfThisMachine({ name }: Cluster): boolean {
  return name.startsWith('localx');
}

/** Such as `Intel(R) Xeon(R) Platinum 8481C CPU @ 2.70GHz`; some systems only know the architecture. */
function processorName(): string {
  const name = cpus()[0]?.model.trim().replaceAll(/\s+/g, ' ') ?? '';
  return name === '' || name === 'unknown' ? arch() : name;
}
