import { createChecker, FileError } from '../schema/check.ts';
import type { ClusterDescription } from './cluster.ts';
import type { GpuType } from './device-types.ts';
import { gpuType } from './device-types.ts';
import { DEVICE_NUMBERS, nodeFileProblems } from './node-file-problems.ts';
import type { DeviceEntry, NodeEntry, NodeFile } from './node-file-schema.ts';
import { NODE_FILE_SCHEMA } from './node-file-schema.ts';
import type { NodeGroup } from './node-groups.ts';
import { describeNodes } from './node-groups.ts';
import { gibibytes, gigabitsPerSec, gigabytesPerSec, teraflops } from './units.ts';
import type { WireSpeed, NodeWiring } from './wiring.ts';
import { INTRA_NODE_LATENCY_US, isNvlink, nvlinkBytesPerSec, pcieSpeed } from './wiring.ts';

const checker = createChecker<NodeFile>(NODE_FILE_SCHEMA);

/** Whether a cluster file is meant in the short form. */
export function isNodeFile(value: unknown): boolean {
  return typeof value === 'object' && value !== null && 'nodes' in value;
}

/**
 * Writes the short form out.
 * @throws {FileError} with all problems
 */
export function expandNodeFile(value: unknown, source: string): ClusterDescription {
  if (!checker.is(value)) throw new FileError(source, checker.problems(value));
  const problems = nodeFileProblems(value);
  if (problems.length > 0) throw new FileError(source, problems);
  const { name, nodes, fabric } = value;
  const groups = nodes.map((entry) => nodeGroup(entry, source));
  if (fabric === undefined) return describeNodes(name, groups);
  return describeNodes(name, groups, { rails: false, oversubscription: 1, ...fabric, source });
}

function nodeGroup({ count, devices, intraNode, network }: NodeEntry, source: string): NodeGroup {
  const type = gpuType(devices.type);
  const group = {
    count,
    devicesPerNode: devices.count,
    device: deviceNumbers(devices, type, source),
    wiring: wiringOf(intraNode, devices.count, type, source),
  };
  if (network === undefined) return group;
  const { adapters = 1, bandwidthGbps, latencyUs } = network;
  const adapter = { bandwidthBytesPerSec: gigabitsPerSec(bandwidthGbps), latencyUs, source };
  return { ...group, network: { adapter, devicesPerAdapter: devices.count / adapters } };
}

function deviceNumbers(entry: DeviceEntry, type: GpuType | undefined, source: string): NodeGroup['device'] {
  const own = DEVICE_NUMBERS.filter((field) => entry[field] !== undefined);
  const number = (given: number | undefined, convert: (value: number) => number, known: number | undefined): number =>
    given === undefined ? known! : convert(given);
  return {
    type: type?.type ?? entry.type,
    flopsPerSec: number(entry.teraflops, teraflops, type?.flopsPerSec),
    memoryBandwidthBytesPerSec: number(entry.memoryBandwidthGBps, gigabytesPerSec, type?.memoryBandwidthBytesPerSec),
    memoryBytes: number(entry.memoryGiB, gibibytes, type?.memoryBytes),
    taskOverheadUs: entry.taskOverheadUs ?? type!.taskOverheadUs,
    source: [
      ...(own.length > 0 ? [`${own.join(', ')}: ${source}`] : []),
      ...(type === undefined ? [] : [type.source]),
    ].join('; else '),
  };
}

function wiringOf(
  intraNode: NodeEntry['intraNode'],
  devices: number,
  type: GpuType | undefined,
  source: string,
): NodeWiring {
  const { kind, hostBandwidthGBps, nodesPerDomain = 1 } = intraNode;
  const pcie = pcieSpeed(type?.pcie ?? 3);
  const host =
    hostBandwidthGBps === undefined
      ? pcie
      : { ...pcie, bandwidthBytesPerSec: gigabytesPerSec(hostBandwidthGBps), source };
  return { kind, device: deviceSpeed(intraNode, devices, type, pcie, source), host, nodesPerDomain };
}

/** What the file says; else NVLink as in the table of types, or PCIe. */
function deviceSpeed(
  { kind, bandwidthGBps, latencyUs = INTRA_NODE_LATENCY_US }: NodeEntry['intraNode'],
  devices: number,
  type: GpuType | undefined,
  pcie: WireSpeed,
  source: string,
): WireSpeed {
  if (bandwidthGBps !== undefined) return { bandwidthBytesPerSec: gigabytesPerSec(bandwidthGBps), latencyUs, source };
  if (!isNvlink(kind)) return { ...pcie, latencyUs };
  return { bandwidthBytesPerSec: nvlinkBytesPerSec(kind, type!, devices)!, latencyUs, source: type!.source };
}
