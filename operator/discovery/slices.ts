import type { ResourceV1ResourceClaim, V1Device, V1ResourceSlice } from '@kubernetes/client-node';
import { quantityBytes } from '../../soap/cluster/units.ts';

/** What a node's ResourceSlices tell of its devices. */
export interface SliceDevices {
  /** Whole devices. */
  readonly count: number;
  readonly product: string | undefined;
  readonly memoryBytes: number | undefined;
  /** Of the claims that hold some of them. */
  readonly claimed: number;
  /** Devices that are parts of others. */
  readonly parts: number;
}

/** The DRA driver that gives out what the extended resource of a device plugin would be. */
const DRIVERS: Readonly<Record<string, string>> = {
  'nvidia.com/gpu': 'gpu.nvidia.com',
  'amd.com/gpu': 'gpu.amd.com',
  'gpu.intel.com/i915': 'gpu.intel.com',
  'gpu.intel.com/xe': 'gpu.intel.com',
};

/**
 * The devices of each node, by node name, of the driver behind a resource. A pool's slices of older generations do not count.
 * Source: Kubernetes, "Dynamic Resource Allocation" (resource.k8s.io/v1); attributes of dra-driver-nvidia-gpu.
 */
export function sliceDevicesByNode(
  resource: string,
  slices: readonly V1ResourceSlice[],
  claims: readonly ResourceV1ResourceClaim[],
): ReadonlyMap<string, SliceDevices> {
  const driver = Object.hasOwn(DRIVERS, resource) ? DRIVERS[resource] : undefined;
  const own = slices.filter(({ spec }) => driver !== undefined && spec?.driver === driver);
  const newest = new Map<string, number>();
  for (const { spec } of own) {
    const { name, generation } = poolOf(spec);
    newest.set(name, Math.max(newest.get(name) ?? 0, generation));
  }
  const current = own.filter(({ spec }) => poolOf(spec).generation === newest.get(poolOf(spec).name));
  const claimedByPool = Map.groupBy(
    claims.flatMap(({ status }) => status?.allocation?.devices?.results ?? []).filter((each) => each.driver === driver),
    ({ pool }) => pool,
  );
  const byNode = Map.groupBy(current, ({ spec }) => spec.nodeName ?? '');
  return new Map([...byNode].map(([node, of]) => [node, summary(of, claimedByPool)]));
}

function summary(
  slices: readonly V1ResourceSlice[],
  claimedByPool: ReadonlyMap<string, readonly { readonly device: string }[]>,
): SliceDevices {
  const devices = slices.flatMap(({ spec }) => spec.devices ?? []);
  const whole = devices.filter((device) => (attribute(device, 'type') ?? 'gpu') === 'gpu');
  const pools = new Set(slices.map(({ spec }) => poolOf(spec).name));
  const claimed = [...pools].flatMap((pool) => claimedByPool.get(pool) ?? []).map(({ device }) => device);
  const memory = whole[0]?.capacity?.['memory']?.value;
  return {
    count: whole.length,
    product: whole.map((device) => attribute(device, 'productName')).find((name) => name !== undefined),
    memoryBytes: memory === undefined ? undefined : quantityBytes(memory),
    claimed: new Set(claimed).size,
    parts: devices.length - whole.length,
  };
}

/** The type promises a pool; a server of another version may not. */
function poolOf({ pool }: { readonly pool?: { readonly name: string; readonly generation: number } }): {
  readonly name: string;
  readonly generation: number;
} {
  return pool ?? { name: '', generation: 0 };
}

function attribute({ attributes }: V1Device, name: string): string | undefined {
  return attributes?.[name]?.string;
}
