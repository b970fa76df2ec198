import { descriptionProblems } from '../cluster/cluster-file.ts';
import { GPU_TYPES, gpuType } from '../cluster/device-types.ts';
import type { Cluster, ClusterDescription, Connection } from '../cluster/cluster.ts';
import { createCluster } from '../cluster/topology.ts';
import { nodeOf, placesOf, servedNode } from './places.ts';

type Devices = ClusterDescription['devices'];

/** Forms of a change, for messages. */
const CHANGE_FORMS = 'network*F, nvlink*F, links*F, LINK*F, compute*F, memory*F, latency*F, nodes+N, type=GPU';

/** Nodes that may be added at a time. */
const MAX_ADDED = 64;

/**
 * Changes a cluster by an expression: changes in order, separated by commas.
 *
 * - `network*2`: bandwidth of all connections outside nodes, from their adapters on; `nvlink*2`: of those between devices of a node, and
 *   to an NVSwitch; `links*2`: of all; `host*2` and the like: of those where one end's name has the word in it; `latency*0.5`: latency of all
 * - `compute*2`: arithmetic and memory bandwidth of all devices; `memory*2`: their capacity
 * - `nodes+1`: copies of the last node, wired as it is, with what in the network serves it alone
 * - `type=H100`: other GPUs with the numbers of their data sheet; the wires stay
 * @throws {Error} a sentence naming what is wrong
 */
export function changeCluster({ description }: Cluster, expression: string): Cluster {
  const changed = expression.split(',').reduce(changeOnce, description);
  const [problem] = descriptionProblems(changed);
  if (problem !== undefined) throw new Error(`cluster '${description.name}' with '${expression}': ${problem.message}`);
  return createCluster({ ...changed, name: `${description.name} with ${expression.trim()}` });
}

function changeOnce(description: ClusterDescription, change: string): ClusterDescription {
  const [, subject, operator, value] = /^\s*([\w/>.-]+?)\s*([*+=])\s*([\w.-]+)\s*$/.exec(change) ?? [];
  if (subject === undefined || value === undefined) throw unclear(change);
  if (operator === '=' && subject === 'type') return withType(description, value);
  if (operator === '+' && subject === 'nodes') return withNodes(description, wholeNumber(value, change));
  if (operator === '*') return scaled(description, subject, factor(value, change), change);
  throw unclear(change);
}

function unclear(change: string): Error {
  return new Error(
    `change '${change}' is unclear; expected ${CHANGE_FORMS}, several with commas, or a cluster file with a path such as ./c.yaml`,
  );
}

function factor(text: string, change: string): number {
  const value = Number(text);
  if (Number.isFinite(value) && value > 0) return value;
  throw new Error(`change '${change}' multiplies by '${text}'; expected a positive number`);
}

function wholeNumber(text: string, change: string): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= 1 && value <= MAX_ADDED) return value;
  throw new Error(`change '${change}' adds '${text}'; expected a whole number from 1 to ${MAX_ADDED}`);
}

function scaled(description: ClusterDescription, subject: string, by: number, change: string): ClusterDescription {
  if (subject === 'compute') return { ...description, devices: description.devices.map((each) => faster(each, by)) };
  if (subject === 'memory') {
    const devices = description.devices.map((each) => ({ ...each, memoryBytes: each.memoryBytes * by }));
    return { ...description, devices };
  }
  if (subject === 'latency') {
    const connections = description.connections.map((each) => ({ ...each, latencyUs: each.latencyUs * by }));
    return { ...description, connections };
  }
  const indices = connectionsMeant(description, subject);
  if (indices.length === 0) {
    const points = [...new Set(description.connections.flatMap(({ between }) => between))].slice(0, 6).join(', ');
    throw new Error(
      `change '${change}' meets no connection; expected ${CHANGE_FORMS}, LINK being part of a name such as ${points}`,
    );
  }
  return widerConnections(description, indices, by);
}

/** By index: the connections that a subject names. */
function connectionsMeant(description: ClusterDescription, subject: string): number[] {
  const places = placesOf(description);
  const isMeant = ({ between }: Connection, i: number): boolean => {
    if (subject === 'links') return true;
    if (subject === 'network') return places[i] === subject;
    if (subject === 'nvlink' && places[i] === subject) return true;
    return between.some((point) => point.includes(subject));
  };
  return description.connections.flatMap((each, i) => (isMeant(each, i) ? [i] : []));
}

/** Some connections, by their places in the list, with so many times the bandwidth. */
export function widerConnections(
  description: ClusterDescription,
  indices: readonly number[],
  by: number,
): ClusterDescription {
  const meant = new Set(indices);
  const connections = description.connections.map((each, i) =>
    meant.has(i)
      ? { ...each, bandwidthBytesPerSec: each.bandwidthBytesPerSec * by, source: `${each.source}, times ${by}` }
      : each,
  );
  return { ...description, connections };
}

/** A device that computes and streams so many times as fast. */
export function faster(device: Devices[number], by: number): Devices[number] {
  return {
    ...device,
    flopsPerSec: device.flopsPerSec * by,
    memoryBandwidthBytesPerSec: device.memoryBandwidthBytesPerSec * by,
    speedup: (device.speedup ?? 1) * by,
    source: `${device.source}, times ${by}`,
  };
}

function withType(description: ClusterDescription, name: string): ClusterDescription {
  const type = gpuType(name);
  if (type === undefined) {
    throw new Error(`there is no device type '${name}'; expected ${GPU_TYPES.map((each) => each.type).join(', ')}`);
  }
  const { flopsPerSec, memoryBandwidthBytesPerSec, memoryBytes, taskOverheadUs, source } = type;
  const numbers = {
    type: type.type,
    speedup: 1,
    flopsPerSec,
    memoryBandwidthBytesPerSec,
    memoryBytes,
    taskOverheadUs,
    source,
  };
  return {
    ...description,
    devices: description.devices.map((device) => ({ ...device, ...numbers })),
  };
}

function withNodes(description: ClusterDescription, count: number): ClusterDescription {
  let changed = description;
  for (let i = 0; i < count; i++) changed = withNode(changed);
  return changed;
}

/** Copies the last node: its devices, its ports and what else serves it alone, with all their connections. */
function withNode(description: ClusterDescription): ClusterDescription {
  const { devices, connections } = description;
  const nodes = new Set(devices.map(({ node }) => node));
  const node = devices.at(-1)!.node;
  const fresh = freshName(node, nodes);
  const own = ownPoints(connections, node, nodes);
  const renamed = (point: string): string => {
    if (nodeOf(point, nodes) === node) return `${fresh}${point.slice(node.length)}`;
    if (servedNode(point, nodes) !== node) return own.get(point) ?? point;
    return point
      .split('/')
      .map((segment) => (segment === node ? fresh : segment))
      .join('/');
  };
  const copies = connections.flatMap((each): Connection[] => {
    const [a, b] = each.between;
    const between = [renamed(a), renamed(b)] as const;
    return between[0] === a && between[1] === b ? [] : [{ ...each, between }];
  });
  const added = devices
    .filter((device) => device.node === node)
    .map((device) => ({ ...device, name: nameIn(device.name, node, fresh), node: fresh }));
  return { ...description, devices: [...devices, ...added], connections: [...connections, ...copies] };
}

/**
 * Switches, and uplinks of them, that lead from a node alone to one point further on, such as the uplink of its port, with names for
 * their copies.
 */
function ownPoints(
  connections: readonly Connection[],
  node: string,
  nodes: ReadonlySet<string>,
): ReadonlyMap<string, string> {
  const neighbours = new Map<string, Set<string>>();
  for (const { between } of connections) {
    const [a, b] = between;
    neighbours.set(a, (neighbours.get(a) ?? new Set()).add(b));
    neighbours.set(b, (neighbours.get(b) ?? new Set()).add(a));
  }
  const taken = new Set(neighbours.keys());
  const own = new Map<string, string>();
  for (const [point, others] of neighbours) {
    if (servedNode(point, nodes) !== undefined) continue;
    const served = [...others].map((other) => servedNode(other, nodes));
    const further = served.filter((each) => each !== node);
    if (further.length === served.length || further.length !== 1 || further[0] !== undefined) continue;
    const copy = freshName(point, taken);
    taken.add(copy);
    own.set(point, copy);
  }
  return own;
}

function nameIn(name: string, node: string, fresh: string): string {
  return name.startsWith(`${node}/`) ? `${fresh}${name.slice(node.length)}` : `${fresh}/${name}`;
}

function freshName(node: string, taken: ReadonlySet<string>): string {
  const digits = /\d+$/.exec(node)?.[0] ?? '';
  const prefix = node.slice(0, node.length - digits.length);
  let number = digits === '' ? 2 : Number(digits) + 1;
  while (taken.has(`${prefix}${number}`)) number += 1;
  return `${prefix}${number}`;
}
