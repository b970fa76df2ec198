import type { WireSpeed } from '../../soap/cluster/wiring.ts';
import { gigabitsPerSec, megabitsPerSec, positiveNumber, suffixedGigabitsPerSec } from '../../soap/cluster/units.ts';
import { instanceNetwork } from './instance-types.ts';
import {
  ADAPTER_LABEL,
  COREWEAVE_SPEED_LABEL,
  INSTANCE_TYPE_LABEL,
  INTER_NODE_LABEL,
  INTRA_NODE_LABEL,
  MACHINE_LABEL,
  NETWORK_MEGABITS_LABELS,
} from './labels.ts';

type Labels = Readonly<Record<string, string>>;

/** A node feature object of NFD, as far as it tells of network adapters. Source: NFD, `NodeFeature` (nfd.k8s-sigs.io/v1alpha1). */
export interface NodeFeatureResource {
  readonly metadata?: { readonly name?: string; readonly namespace?: string; readonly labels?: Labels };
  readonly spec?: {
    readonly features?: {
      readonly instances?: Readonly<
        Record<string, { readonly elements?: readonly { readonly attributes?: Labels }[] | null } | undefined>
      >;
    };
  };
}

/** Half of a one-way trip between hosts over TCP. */
const TCP_LATENCY_US = 30;

/** Half of a one-way trip through two RDMA adapters, a switch and their software, as in soap/cluster/presets.ts. */
const RDMA_LATENCY_US = 5;

const DEFAULT_GIGABITS = 10;

/** What the administrator's label says of wires within a node, each way, or undefined. */
export function intraNodeOverride(labels: Labels, latencyUs: number): WireSpeed | undefined {
  const own = positiveNumber(labels[INTRA_NODE_LABEL]);
  if (own === undefined) return undefined;
  return { bandwidthBytesPerSec: gigabitsPerSec(own), latencyUs, source: `label ${INTRA_NODE_LABEL}=${own}` };
}

/**
 * All network adapters of a node together, each way: the administrator's label, then what a cloud's labels say, then NFD's
 * adapters, then the table of instance types, then the label of one adapter, then a default that is said to be one.
 */
export function networkSpeed(labels: Labels, feature: NodeFeatureResource | undefined): WireSpeed {
  return (
    labelledSpeed(labels) ??
    adapterSpeed(feature) ??
    instanceSpeed(labels) ??
    oneAdapterSpeed(labels) ?? {
      bandwidthBytesPerSec: gigabitsPerSec(DEFAULT_GIGABITS),
      latencyUs: TCP_LATENCY_US,
      source: `default: ${DEFAULT_GIGABITS} Gb/s; set label ${INTER_NODE_LABEL}`,
    }
  );
}

function labelledSpeed(labels: Labels): WireSpeed | undefined {
  const own = positiveNumber(labels[INTER_NODE_LABEL]);
  const latencyUs = instanceOf(labels)?.rdma === true ? RDMA_LATENCY_US : TCP_LATENCY_US;
  if (own !== undefined)
    return { bandwidthBytesPerSec: gigabitsPerSec(own), latencyUs, source: `label ${INTER_NODE_LABEL}=${own}` };
  for (const label of NETWORK_MEGABITS_LABELS) {
    const megabits = positiveNumber(labels[label]);
    if (megabits === undefined) continue;
    return { bandwidthBytesPerSec: megabitsPerSec(megabits), latencyUs, source: `label ${label}=${megabits}` };
  }
  const text = labels[COREWEAVE_SPEED_LABEL];
  const bandwidthBytesPerSec = text === undefined ? undefined : suffixedGigabitsPerSec(text);
  if (bandwidthBytesPerSec === undefined) return undefined;
  return { bandwidthBytesPerSec, latencyUs: RDMA_LATENCY_US, source: `label ${COREWEAVE_SPEED_LABEL}=${text}` };
}

/** Whether an object of NFD has what {@link networkSpeed} reads of it. */
export function tellsOfAdapters({ spec }: NodeFeatureResource): boolean {
  return (spec?.features?.instances?.['network.device']?.elements ?? []).length > 0;
}

/** Of how many, the label does not say. */
function oneAdapterSpeed(labels: Labels): WireSpeed | undefined {
  const gigabits = positiveNumber(labels[ADAPTER_LABEL]);
  if (gigabits === undefined) return undefined;
  const source = `label ${ADAPTER_LABEL}=${gigabits}, of one adapter`;
  return { bandwidthBytesPerSec: gigabitsPerSec(gigabits), latencyUs: TCP_LATENCY_US, source };
}

/** The adapters that are up and as fast as the fastest: a management port beside them carries no training. */
function adapterSpeed(feature: NodeFeatureResource | undefined): WireSpeed | undefined {
  const elements = feature?.spec?.features?.instances?.['network.device']?.elements ?? [];
  const speeds = elements
    .filter(({ attributes }) => attributes?.['operstate'] === 'up')
    .map(({ attributes }) => positiveNumber(attributes?.['speed']) ?? 0);
  const fastest = speeds.reduce((a, b) => Math.max(a, b), 0);
  if (fastest === 0) return undefined;
  const count = speeds.filter((speed) => speed === fastest).length;
  return {
    bandwidthBytesPerSec: count * megabitsPerSec(fastest),
    latencyUs: TCP_LATENCY_US,
    source: `NodeFeature network.device: ${count} x ${fastest} Mb/s`,
  };
}

function instanceSpeed(labels: Labels): WireSpeed | undefined {
  const network = instanceOf(labels);
  if (network === undefined) return undefined;
  return {
    bandwidthBytesPerSec: gigabitsPerSec(network.gigabits),
    latencyUs: network.rdma ? RDMA_LATENCY_US : TCP_LATENCY_US,
    source: `table: instance type ${network.type}, ${network.gigabits} Gb/s`,
  };
}

function instanceOf(labels: Labels): { type: string; gigabits: number; rdma: boolean } | undefined {
  for (const type of [labels[INSTANCE_TYPE_LABEL], labels[MACHINE_LABEL]]) {
    const network = instanceNetwork(type);
    if (type !== undefined && network !== undefined) return { type, ...network };
  }
  return undefined;
}
