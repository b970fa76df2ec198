import type { V1Node } from '@kubernetes/client-node';
import type { Connection, Device } from '../../soap/cluster/cluster.ts';
import { LOCAL_CPU } from '../../soap/cluster/device-types.ts';
import { LOCAL_MESSAGE } from '../../soap/cluster/presets.ts';
import { quantityBytes } from '../../soap/cluster/units.ts';
import { CPU_MODEL_LABELS, INSTANCE_TYPE_LABEL } from './labels.ts';

/** The resource of a job whose devices are processor cores. */
export const CORE_RESOURCE = 'cpu';

type Labels = Readonly<Record<string, string>>;

/** A core of a node: its type tells processors apart that labels tell apart, since measured costs are kept by type. */
export function coreOf({ metadata, status }: V1Node, cores: number): Omit<Device, 'id' | 'name' | 'node'> {
  const processor = processorOf(metadata?.labels ?? {});
  const memoryBytes = quantityBytes(status?.allocatable?.['memory'] ?? '');
  const { flopsPerSec, memoryBandwidthBytesPerSec, taskOverheadUs, source } = LOCAL_CPU;
  const memory = memoryBytes === undefined ? 'default: 8 GiB a core' : 'memory: a share of what the node can give';
  return {
    type: processor === undefined ? LOCAL_CPU.type : `${LOCAL_CPU.type} ${processor.name}`,
    flopsPerSec,
    memoryBandwidthBytesPerSec,
    memoryBytes: memoryBytes === undefined ? LOCAL_CPU.memoryBytes : memoryBytes / cores,
    taskOverheadUs,
    source: [source, ...(processor === undefined ? [] : [`processor by label ${processor.label}`]), memory].join('; '),
  };
}

/** Cores of a node, which share its memory, and the point where its network adapters are. */
export function joinCores(node: string, names: readonly string[]): { connections: Connection[]; adapter: string } {
  const adapter = `${node}/host`;
  const half = { ...LOCAL_MESSAGE, latencyUs: LOCAL_MESSAGE.latencyUs / 2 };
  return { adapter, connections: names.map((name) => ({ ...half, between: [name, adapter] })) };
}

/** A cloud's type of machine, else what NFD says of the processor. */
function processorOf(labels: Labels): { readonly name: string; readonly label: string } | undefined {
  const instance = labels[INSTANCE_TYPE_LABEL];
  if (instance !== undefined && instance !== '') return { name: instance, label: INSTANCE_TYPE_LABEL };
  const parts = CPU_MODEL_LABELS.map((label) => labels[label]).filter((part) => part !== undefined && part !== '');
  return parts.length < CPU_MODEL_LABELS.length ? undefined : { name: parts.join('-'), label: CPU_MODEL_LABELS[0]! };
}
