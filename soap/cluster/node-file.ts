import type { Problem } from '../schema/check.ts';
import { createChecker, FileError } from '../schema/check.ts';
import type { ClusterDescription } from './cluster.ts';
import { MAX_CONNECTIONS, MAX_DEVICES } from './cluster-schema.ts';
import type { DeviceType } from './device-types.ts';
import { GPU_TYPES } from './device-types.ts';
import type { NodeGroup } from './node-groups.ts';
import { describeNodes } from './node-groups.ts';
import { gibibytes, gigabitsPerSec, gigabytesPerSec, teraflops } from './units.ts';
import type { WireSpeed, WiringKind } from './wiring.ts';
import { connectionCount, INTRA_NODE_LATENCY_US, PCIE } from './wiring.ts';

/** The short form of a cluster file: like nodes in groups, with the units that vendors use. Each rate is for one direction. */
interface NodeFile {
  readonly name: string;
  readonly nodes: readonly NodeEntry[];
}

interface NodeEntry {
  readonly count: number;
  readonly devices: DeviceEntry;
  readonly intraNode: { readonly kind: WiringKind; readonly bandwidthGBps?: number; readonly latencyUs?: number };
  readonly network?: { readonly bandwidthGbps: number; readonly latencyUs: number };
}

/** A type of the table, or a type of one's own with all numbers; a number beside a type of the table replaces it. */
interface DeviceEntry {
  readonly count: number;
  readonly type: string;
  readonly teraflops?: number;
  readonly memoryBandwidthGBps?: number;
  readonly memoryGiB?: number;
  readonly taskOverheadUs?: number;
}

const NUMBERS = ['teraflops', 'memoryBandwidthGBps', 'memoryGiB', 'taskOverheadUs'] as const;

const positive = { type: 'number', exclusiveMinimum: 0 };
const notNegative = { type: 'number', minimum: 0 };
const count = { type: 'integer', minimum: 1, maximum: MAX_DEVICES };
const WIRING_KINDS: readonly WiringKind[] = ['nvlinkMesh', 'nvswitch', 'pcieSwitch', 'pciePairs'];

const object = (required: readonly string[], properties: object): object => ({
  type: 'object',
  additionalProperties: false,
  required,
  properties,
});

const checker = createChecker<NodeFile>(
  object(['name', 'nodes'], {
    name: { type: 'string', minLength: 1, maxLength: 253 },
    nodes: {
      type: 'array',
      minItems: 1,
      maxItems: 1024,
      items: object(['count', 'devices', 'intraNode'], {
        count,
        devices: object(['count', 'type'], {
          count,
          type: { type: 'string', minLength: 1, maxLength: 253 },
          teraflops: positive,
          memoryBandwidthGBps: positive,
          memoryGiB: positive,
          taskOverheadUs: notNegative,
        }),
        intraNode: object(['kind'], {
          kind: { type: 'string', enum: WIRING_KINDS },
          bandwidthGBps: positive,
          latencyUs: notNegative,
        }),
        network: object(['bandwidthGbps', 'latencyUs'], { bandwidthGbps: positive, latencyUs: notNegative }),
      }),
    },
  }),
);

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
  const problems = [...value.nodes.flatMap(entryProblems), ...fileProblems(value)];
  if (problems.length > 0) throw new FileError(source, problems);
  return describeNodes(
    value.name,
    value.nodes.map((entry) => nodeGroup(entry, source)),
  );
}

function entryProblems({ devices, intraNode }: NodeEntry, index: number): Problem[] {
  if (deviceType(devices.type) !== undefined) return [];
  const known = GPU_TYPES.map(({ type }) => type).join(', ');
  const path = `nodes[${index}].devices`;
  const problems = NUMBERS.filter((field) => devices[field] === undefined).map((field) => ({
    path: `${path}.${field}`,
    message: `is missing; type '${devices.type}' is not one of ${known}: add the number or use one of these types`,
  }));
  if (intraNode.bandwidthGBps === undefined && isNvlink(intraNode.kind)) {
    problems.push({
      path: `nodes[${index}].intraNode.bandwidthGBps`,
      message: `is missing; the NVLink of type '${devices.type}' is not known: add the rate of one direction`,
    });
  }
  return problems;
}

/** What can only be said of the file as a whole; it is asked before anything of the file's size is allocated. */
function fileProblems({ nodes }: NodeFile): Problem[] {
  const problems: Problem[] = [];
  const sum = (of: (entry: NodeEntry) => number): number => nodes.reduce((total, entry) => total + of(entry), 0);
  const devices = sum((entry) => entry.count * entry.devices.count);
  if (devices > MAX_DEVICES)
    problems.push({ path: 'nodes', message: `has ${devices} devices; expected at most ${MAX_DEVICES}: use fewer` });
  const connections = sum((entry) => entry.count * (1 + connectionCount(entry.intraNode.kind, entry.devices.count)));
  if (connections > MAX_CONNECTIONS) {
    const message = `needs about ${connections} connections; expected at most ${MAX_CONNECTIONS}: use kind nvswitch`;
    problems.push({ path: 'nodes', message });
  }
  if (sum((entry) => entry.count) > 1) {
    nodes.forEach(({ network }, index) => {
      if (network !== undefined) return;
      const message = 'is missing, and the cluster has several nodes: add bandwidthGbps and latencyUs';
      problems.push({ path: `nodes[${index}].network`, message });
    });
  }
  return problems;
}

function nodeGroup({ count, devices, intraNode, network }: NodeEntry, source: string): NodeGroup {
  const type = deviceType(devices.type);
  return {
    count,
    devicesPerNode: devices.count,
    device: deviceNumbers(devices, type, source),
    wiring: { kind: intraNode.kind, device: intraNodeSpeed(intraNode, type, source), host: PCIE },
    ...(network === undefined
      ? {}
      : {
          network: {
            bandwidthBytesPerSec: gigabitsPerSec(network.bandwidthGbps),
            latencyUs: network.latencyUs,
            source,
          },
        }),
  };
}

function deviceNumbers(entry: DeviceEntry, type: DeviceType | undefined, source: string): NodeGroup['device'] {
  const own = NUMBERS.filter((field) => entry[field] !== undefined);
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

/** What the file says; else NVLink as in the table of types, or PCIe. */
function intraNodeSpeed(
  { kind, bandwidthGBps, latencyUs = INTRA_NODE_LATENCY_US }: NodeEntry['intraNode'],
  type: DeviceType | undefined,
  source: string,
): WireSpeed {
  if (bandwidthGBps !== undefined) return { bandwidthBytesPerSec: gigabytesPerSec(bandwidthGBps), latencyUs, source };
  if (!isNvlink(kind)) return { ...PCIE, latencyUs };
  return { bandwidthBytesPerSec: type!.intraNodeBytesPerSec, latencyUs, source: type!.source };
}

function isNvlink(kind: WiringKind): boolean {
  return kind === 'nvlinkMesh' || kind === 'nvswitch';
}

function deviceType(name: string): DeviceType | undefined {
  return GPU_TYPES.find(({ type }) => type.toLowerCase() === name.toLowerCase());
}
