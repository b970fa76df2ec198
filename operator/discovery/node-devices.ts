import type { Device } from '../../soap/cluster/cluster.ts';
import { GPU_TASK_OVERHEAD_US } from '../../soap/cluster/device-types.ts';
import type { Fabric } from '../../soap/cluster/products.ts';
import { productOf } from '../../soap/cluster/products.ts';
import { gibibytes, gigabytesPerSec, mebibytes, positiveNumber, teraflops } from '../../soap/cluster/units.ts';
import type { WireSpeed, NodeWiring } from '../../soap/cluster/wiring.ts';
import { INTRA_NODE_LATENCY_US, pcieSpeed } from '../../soap/cluster/wiring.ts';
import { wholeName } from './boards.ts';
import { AMD_MEMORY_LABEL, MEMORY_MEBIBYTES_LABELS, PRODUCT_LABELS } from './labels.ts';
import type { SliceDevices } from './slices.ts';
import { intraNodeOverride } from './speeds.ts';

type Labels = Readonly<Record<string, string>>;

/** What the devices of one node are, and how they are joined. */
export interface NodeDevices {
  readonly device: Omit<Device, 'id' | 'name' | 'node'>;
  readonly wiring: NodeWiring;
}

/** The type of devices that nothing names. */
export const UNKNOWN_TYPE = 'unknown';

/** Numbers for a product that is not in the table: modest ones, said to be a default. */
const UNKNOWN = {
  flopsPerSec: teraflops(10),
  memoryBandwidthBytesPerSec: gigabytesPerSec(500),
  memoryBytes: gibibytes(16),
  pcie: 3,
} as const;

/** A DGX-1's eight devices form a cube mesh of NVLinks; smaller boards join every two. */
const CUBE_MESH_DEVICES = 8;

/**
 * Reads a node's product and memory from its labels, else from its ResourceSlices.
 * @param total devices of the node, used or not
 * @param wanted of them for the job
 */
export function nodeDevices(
  labels: Labels,
  slice: SliceDevices | undefined,
  { total, wanted }: { readonly total: number; readonly wanted: number },
): NodeDevices {
  const [name, nameSource] = productName(labels, slice);
  const product = name === undefined ? undefined : productOf(name);
  const numbers = product ?? UNKNOWN;
  const memory = memoryOf(labels, slice);
  const origin = product?.source ?? (name === undefined ? nameSource : `default: product ${name} is not in the table`);
  const host = pcieSpeed(numbers.pcie);
  const override = intraNodeOverride(labels, INTRA_NODE_LATENCY_US);
  return {
    device: {
      type: product?.type ?? name ?? UNKNOWN_TYPE,
      flopsPerSec: numbers.flopsPerSec,
      memoryBandwidthBytesPerSec: numbers.memoryBandwidthBytesPerSec,
      memoryBytes: memory?.bytes ?? numbers.memoryBytes,
      taskOverheadUs: GPU_TASK_OVERHEAD_US,
      source: [
        origin,
        ...(name === undefined ? [] : [`product by ${nameSource}`]),
        ...(memory ? [memory.source] : []),
      ].join('; '),
    },
    wiring:
      override === undefined
        ? tableWiring(product?.fabric, product?.source ?? origin, host, { total, wanted })
        : { kind: 'nvswitch', device: override, host },
  };
}

/** Tells how fast devices are by what names them; each name is looked up once. */
export function speedOfProducts(): (labels: Labels, slice: SliceDevices | undefined) => number {
  const known = new Map<string, number>();
  return (labels, slice) => {
    const [name = ''] = productName(labels, slice);
    const speed = known.get(name) ?? (productOf(name) ?? UNKNOWN).flopsPerSec;
    known.set(name, speed);
    return speed;
  };
}

function productName(
  labels: Labels,
  slice: SliceDevices | undefined,
): readonly [name: string | undefined, source: string] {
  for (const label of PRODUCT_LABELS) {
    const value = labels[label];
    if (value !== undefined && value !== '')
      return [wholeName(label, value, labels, memoryMebibytes(labels)?.[0]), `label ${label}=${value}`];
  }
  if (slice?.product !== undefined) return [slice.product, `ResourceSlice productName=${slice.product}`];
  return [undefined, `default: no label ${PRODUCT_LABELS[0]}`];
}

function memoryMebibytes(labels: Labels): readonly [value: number, label: string] | undefined {
  for (const label of MEMORY_MEBIBYTES_LABELS) {
    const value = positiveNumber(labels[label]);
    if (value !== undefined) return [value, label];
  }
  return undefined;
}

function memoryOf(labels: Labels, slice: SliceDevices | undefined): { bytes: number; source: string } | undefined {
  const labelled = memoryMebibytes(labels);
  if (labelled !== undefined) return { bytes: mebibytes(labelled[0]), source: `memory by label ${labelled[1]}` };
  const amd = positiveNumber(/^([0-9]+)G$/.exec(labels[AMD_MEMORY_LABEL] ?? '')?.[1]);
  if (amd !== undefined) return { bytes: gibibytes(amd), source: `memory by label ${AMD_MEMORY_LABEL}` };
  if (slice?.memoryBytes === undefined) return undefined;
  return { bytes: slice.memoryBytes, source: 'memory by ResourceSlice' };
}

/**
 * Which of a node's devices a job gets is not known beforehand. Where that decides whether two have a link at all, PCIe is
 * what they have for certain.
 */
function tableWiring(
  fabric: Fabric | undefined,
  origin: string,
  host: WireSpeed,
  { total, wanted }: { readonly total: number; readonly wanted: number },
): NodeWiring {
  const source = `table: ${origin}`;
  const pcie = { ...host, source: `table: ${host.source}; ${origin}` };
  if (fabric === undefined) return { kind: 'pcieSwitch', device: pcie, host: pcie };
  const wire = (bandwidthBytesPerSec: number): WireSpeed => ({
    bandwidthBytesPerSec,
    latencyUs: INTRA_NODE_LATENCY_US,
    source,
  });
  if (fabric.kind === 'switch') return { kind: 'nvswitch', device: wire(fabric.bytesPerSec), host };
  const each = Math.floor(fabric.links / Math.max(1, total - 1));
  if (each > 0) return { kind: 'nvlinkMesh', device: wire(each * fabric.bytesPerSec), host };
  if (total === CUBE_MESH_DEVICES && wanted === total && fabric.links >= 6)
    return { kind: 'nvlinkCubeMesh', device: wire(fabric.bytesPerSec), host };
  return { kind: 'pcieSwitch', device: pcie, host: pcie };
}
