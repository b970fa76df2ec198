import type { Problem } from '../schema/check.ts';
import { MAX_CONNECTIONS, MAX_DEVICES } from './cluster-schema.ts';
import { CUBE_MESH_DEVICES } from './cube-mesh.ts';
import { GPU_TYPES, gpuType } from './device-types.ts';
import { portConnectionCount } from './network.ts';
import type { NodeEntry, NodeFile } from './node-file-schema.ts';
import { connectionCount, isNvlink, nvlinkBytesPerSec } from './wiring.ts';

/** The numbers of a device type that a file may give. */
export const DEVICE_NUMBERS = ['teraflops', 'memoryBandwidthGBps', 'memoryGiB', 'taskOverheadUs'] as const;

/**
 * What is wrong with a short cluster file beyond the form of its fields. Asked before anything of the size that the file says
 * is made.
 */
export function nodeFileProblems(file: NodeFile): Problem[] {
  return [...file.nodes.flatMap(entryProblems), ...sizeProblems(file), ...networkProblems(file)];
}

function entryProblems(entry: NodeEntry, index: number): Problem[] {
  return [...deviceProblems(entry), ...wiringProblems(entry), ...adapterProblems(entry)].map(({ path, message }) => ({
    path: `nodes[${index}].${path}`,
    message,
  }));
}

function deviceProblems({ devices }: NodeEntry): Problem[] {
  if (gpuType(devices.type) !== undefined) return [];
  const known = GPU_TYPES.map(({ type }) => type).join(', ');
  return DEVICE_NUMBERS.filter((field) => devices[field] === undefined).map((field) => ({
    path: `devices.${field}`,
    message: `is missing; type '${devices.type}' is not one of ${known}: add the number or use one of these types`,
  }));
}

function wiringProblems(entry: NodeEntry): Problem[] {
  const { devices, intraNode } = entry;
  const { kind, hostBandwidthGBps, nodesPerDomain } = intraNode;
  const problems: Problem[] = [];
  const missing = missingNvlink(entry);
  if (missing !== undefined) problems.push({ path: 'intraNode.bandwidthGBps', message: `is missing; ${missing}` });
  if (kind === 'nvlinkCubeMesh' && devices.count > CUBE_MESH_DEVICES) {
    const message = `is ${devices.count}; expected at most ${CUBE_MESH_DEVICES} with kind nvlinkCubeMesh: use kind nvswitch`;
    problems.push({ path: 'devices.count', message });
  }
  if (hostBandwidthGBps !== undefined && !isNvlink(kind)) {
    const message = `has no meaning with kind ${kind}, whose wires are all PCIe: use bandwidthGBps`;
    problems.push({ path: 'intraNode.hostBandwidthGBps', message });
  }
  if (nodesPerDomain !== undefined && nodesPerDomain > 1 && kind !== 'nvswitch') {
    const message = `is ${nodesPerDomain}; expected 1 with kind ${kind}: only kind nvswitch spans nodes`;
    problems.push({ path: 'intraNode.nodesPerDomain', message });
  }
  return problems;
}

/** Why the rate of NVLink must be given and is not, or undefined. */
function missingNvlink({ devices, intraNode: { kind, bandwidthGBps } }: NodeEntry): string | undefined {
  if (bandwidthGBps !== undefined || !isNvlink(kind)) return undefined;
  const type = gpuType(devices.type);
  if (type === undefined) return `the NVLink of type '${devices.type}' is not known: add the rate of one direction`;
  if (nvlinkBytesPerSec(kind, type, devices.count) !== undefined) return undefined;
  const { nvlink } = type;
  return nvlink === undefined
    ? `type ${type.type} has no NVLink: add the rate of one direction, or use kind pcieSwitch or pciePairs`
    : `type ${type.type} has ${nvlink.links} NVLinks, too few for kind ${kind} of ${devices.count} devices: add the rate of one wire in one direction, or use another kind`;
}

function adapterProblems({ devices, intraNode: { kind }, network }: NodeEntry): Problem[] {
  const adapters = network?.adapters ?? 1;
  const path = 'network.adapters';
  if (devices.count % adapters !== 0) {
    const message = `is ${adapters}; expected a divisor of devices.count, ${devices.count}, as each adapter serves as many devices: change one of them`;
    return [{ path, message }];
  }
  if (adapters === 1 || isNvlink(kind) || (kind === 'pciePairs' && adapters * 2 === devices.count)) return [];
  const expected = kind === 'pciePairs' ? '1, at the host, or one for every pair of devices' : '1, at the host';
  return [{ path, message: `is ${adapters}; expected ${expected} with kind ${kind}: change it` }];
}

function sizeProblems({ nodes, fabric }: NodeFile): Problem[] {
  const problems: Problem[] = [];
  const sum = (of: (entry: NodeEntry) => number): number => nodes.reduce((total, entry) => total + of(entry), 0);
  const devices = sum((entry) => entry.count * entry.devices.count);
  if (devices > MAX_DEVICES)
    problems.push({ path: 'nodes', message: `has ${devices} devices; expected at most ${MAX_DEVICES}: use fewer` });
  const connections = sum(({ count, devices: { count: devicesPerNode }, intraNode: { kind }, network }) => {
    const adapters = network?.adapters ?? 1;
    return (
      count * (connectionCount(kind, devicesPerNode, adapters) + portConnectionCount(adapters, fabric !== undefined))
    );
  });
  if (connections > MAX_CONNECTIONS) {
    const message = `needs about ${connections} connections; expected at most ${MAX_CONNECTIONS}: use kind nvswitch, or fewer nodes or adapters`;
    problems.push({ path: 'nodes', message });
  }
  return problems;
}

/** Nodes that no NVSwitch joins need a network. */
function networkProblems({ nodes, fabric }: NodeFile): Problem[] {
  const islands = nodes.reduce(
    (sum, { count, intraNode }) => sum + Math.ceil(count / (intraNode.nodesPerDomain ?? 1)),
    0,
  );
  if (islands === 1 && fabric === undefined) return [];
  const reason = islands === 1 ? 'the file has a fabric' : 'the cluster has several nodes';
  return nodes.flatMap(({ network }, index) => {
    if (network !== undefined) return [];
    return [{ path: `nodes[${index}].network`, message: `is missing, and ${reason}: add bandwidthGbps and latencyUs` }];
  });
}
