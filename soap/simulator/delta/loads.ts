import type { Resources } from './resources.ts';
import type { EdgeTraffic } from './states.ts';
import type { TaskStore } from './task-store.ts';

/**
 * What a message keeps hosts busy for beside the transfer of its bytes: a third of a ping-pong of small messages between two
 * processes. Source: 27 to 30 us over loopback, raw TCP and WebSocket alike.
 */
export const MESSAGE_US: number = 10;

/** How long every device and link is busy in an iteration. */
export class Loads {
  /** Microseconds of all tasks that hold a resource, by resource. */
  readonly us: Float64Array;
  /** How many transfers are counted. */
  transfers: number = 0;
  readonly #resources: Resources;
  readonly #tasks: TaskStore;

  constructor(resources: Resources, tasks: TaskStore) {
    this.#resources = resources;
    this.#tasks = tasks;
    this.us = new Float64Array(resources.count);
  }

  /** Counts a task that is no transfer. @param sign 1 to add, -1 to take away */
  count(task: number, sign: 1 | -1): void {
    const { deviceCount, sets } = this.#resources;
    const durationUs = sign * this.#tasks.amount[task]!;
    const set = this.#tasks.set[task]!;
    if (set < deviceCount) {
      this.us[set]! += durationUs;
      return;
    }
    const members = sets[set]!;
    for (let i = 0; i < members.length; i++) this.us[members[i]!]! += durationUs;
  }

  /** Counts all transfers of an edge. @param sign 1 to add, -1 to take away */
  countEdge({ transfers, loads: { links, busyUs } }: EdgeTraffic, sign: 1 | -1): void {
    for (let i = 0; i < links.length; i++) this.us[links[i]!]! += sign * busyUs[i]!;
    this.transfers += sign * transfers;
  }

  /** What all devices and links do in an iteration, and hosts for its messages. */
  get sumUs(): number {
    let sumUs = this.transfers * MESSAGE_US;
    for (let resource = 0; resource < this.us.length; resource++) sumUs += this.us[resource]!;
    return sumUs;
  }

  /** The same for each device. */
  get workUs(): number {
    return this.sumUs / this.#resources.deviceCount;
  }

  /** Forgets all. */
  clear(): void {
    this.us.fill(0);
    this.transfers = 0;
  }
}
