import type { Cluster } from '../cluster/cluster.ts';
import type { TaskGraph } from '../tasks/task-graph.ts';
import { nodeOf, servedNode } from './places.ts';

/** How long a link is in use in an iteration. */
export interface LinkLoad {
  readonly link: number;
  readonly name: string;
  readonly bandwidthBytesPerSec: number;
  readonly busyUs: number;
  /** Of the iteration. */
  readonly share: number;
  /** Of transfers alone: what passes through. */
  readonly transferBytes: number;
}

/** Every link's load, by link id. A transfer holds a link while its bytes go in, a collective all of its links throughout. */
export function linkLoads({ tasks, deviceCount }: TaskGraph, makespanUs: number, cluster: Cluster): LinkLoad[] {
  const busyUs = new Float64Array(cluster.links.length);
  const bytes = new Float64Array(cluster.links.length);
  for (const task of tasks) {
    if (task.kind === 'transfer') {
      for (const { resource, holdUs } of task.hops) {
        busyUs[resource - deviceCount]! += holdUs;
        bytes[resource - deviceCount]! += task.bytes;
      }
    } else if (task.kind === 'collective' || task.kind === 'gather') {
      for (const resource of task.resources) {
        if (resource >= deviceCount) busyUs[resource - deviceCount]! += task.durationUs;
      }
    }
  }
  return cluster.links.map(({ id, name, bandwidthBytesPerSec }) => ({
    link: id,
    name,
    bandwidthBytesPerSec,
    busyUs: busyUs[id]!,
    share: makespanUs === 0 ? 0 : busyUs[id]! / makespanUs,
    transferBytes: bytes[id]!,
  }));
}

/** Connections of one kind: between the same kinds of points, with the same numbers. */
export interface LinkClass {
  /** Such as `host - network, 12.5 GB/s`. */
  readonly title: string;
  /** Indices in the description's list. */
  readonly connections: readonly number[];
}

/**
 * The classes of a cluster's connections, in the order of their first ones. A cable, and the way on from its port through the switch, is one:
 * none of them alone makes the cable faster.
 */
export function linkClasses({ description }: Cluster): LinkClass[] {
  const nodes = new Set(description.devices.map(({ node }) => node));
  const isPort = (point: string): boolean =>
    nodeOf(point, nodes) === undefined && servedNode(point, nodes) !== undefined;
  const classes = new Map<string, { readonly title: string; readonly connections: number[] }>();
  description.connections.forEach(({ between, bandwidthBytesPerSec, latencyUs }, i) => {
    const port = between.find(isPort);
    const gigabytes = Number((bandwidthBytesPerSec / 1e9).toPrecision(3));
    const ends = port === undefined ? between.map(kindOfPoint) : [kindOfPoint(port), 'leaf'];
    const title = `${ends.join(' - ')}, ${gigabytes} GB/s`;
    const key = port === undefined ? `${title} ${latencyUs}` : title;
    const known = classes.get(key);
    if (known === undefined) classes.set(key, { title, connections: [i] });
    else known.connections.push(i);
  });
  return [...classes.values()];
}

/** `node3/gpu12` is a `gpu`, `leaf0/node3/host` a `host`, as the adapter that it is the port of. */
function kindOfPoint(name: string): string {
  const last = name.slice(name.lastIndexOf('/') + 1);
  return last.replace(/[-_]?\d+$/, '') || last;
}
