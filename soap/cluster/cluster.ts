/** The device topology D of the paper: devices, and the directed links between them with bandwidth and latency. */

/** A number's origin, shown to users: a data sheet, a node label, a table, a measurement. */
export type Source = string;

/** A device that runs tasks one at a time. `id` is its index in {@link Cluster.devices}. */
export interface Device {
  readonly id: number;
  /** Unique, such as `node0/gpu1`. */
  readonly name: string;
  /** The machine it sits in. */
  readonly node: string;
  /** The device type, key of cost tables, such as `P100` or `cpu`. */
  readonly type: string;
  /** Peak float32 rate. */
  readonly flopsPerSec: number;
  readonly memoryBandwidthBytesPerSec: number;
  readonly memoryBytes: number;
  /** Fixed cost of starting a task. */
  readonly taskOverheadUs: number;
  /** How many times as fast as others of its type, whose measurements count for it in that proportion; 1 where left out. */
  readonly speedup?: number;
  /** Where the numbers come from. */
  readonly source: Source;
}

/** One direction of a hardware connection; serves one transfer at a time. `id` is its index in {@link Cluster.links}. */
export interface Link {
  readonly id: number;
  /** Unique, such as `node0/nic>switch`. */
  readonly name: string;
  /** Payload bytes per second in this direction (never bits, never the sum of both directions). */
  readonly bandwidthBytesPerSec: number;
  readonly latencyUs: number;
  readonly source: Source;
}

/** A cable or bus between two points of the hardware; data flows both ways at once, at this rate each way. */
export interface Connection {
  readonly between: readonly [string, string];
  readonly bandwidthBytesPerSec: number;
  readonly latencyUs: number;
  readonly source: Source;
}

/** What a cluster is made of, as files carry it. Other names in connections are hosts, switches, NICs. */
export interface ClusterDescription {
  readonly name: string;
  readonly devices: readonly Omit<Device, 'id'>[];
  readonly connections: readonly Connection[];
  /** How software that is not this project's sums gradients; as this project's does where left out. */
  readonly sums?: ForeignSums;
}

/** Assumptions about sums of gradients with which other systems can be predicted. */
export interface ForeignSums {
  /** Whether devices that sum compute nothing meanwhile, so that sums do not overlap with the backward pass. */
  readonly holdDevices: boolean;
  /** Whether an owner's way back does not count, since devices fetch parameters when the next iteration needs them. */
  readonly fetchLater: boolean;
}

/** What a transfer meets on its route. */
export interface Path {
  /** The sum of the links' latencies. */
  readonly latencyUs: number;
  /** The smallest of the links' bandwidths; Infinity from a device to itself. */
  readonly bandwidthBytesPerSec: number;
}

/** A cluster. */
export interface Cluster {
  readonly description: ClusterDescription;
  readonly name: string;
  readonly devices: readonly Device[];
  readonly links: readonly Link[];
  /** Link ids on the way from one device to another, in order; empty from a device to itself. */
  route(from: number, to: number): readonly number[];
  /** What a transfer meets on {@link route}. */
  path(from: number, to: number): Path;
}
