import type { CollectiveAlgorithm, Task, TaskGraph } from '../tasks/task-graph.ts';
import type { Timeline } from './simulate.ts';

/** What a simulated iteration costs, in the numbers that plans and tables show. */
export interface IterationSummary {
  readonly iterationMs: number;
  /** Of a collective, what all its devices together send. */
  readonly transferredBytes: number;
  /** Compute time of the busiest device. */
  readonly computeMs: number;
}

/** Sums up a timeline. */
export function summarize({ tasks, deviceCount }: TaskGraph, { makespanUs }: Timeline): IterationSummary {
  const busyUs = new Float64Array(deviceCount);
  let transferredBytes = 0;
  for (const task of tasks) {
    if (task.kind === 'transfer') transferredBytes += task.bytes;
    else if (task.kind === 'collective')
      transferredBytes += collectiveBytes(task.algorithm, task.devices.length, task.messageBytes);
    else if (task.kind === 'gather') transferredBytes += (task.devices.length - 1) * task.parts.length * task.bytes;
    else busyUs[task.device]! += task.durationUs;
  }
  return { iterationMs: makespanUs / 1000, transferredBytes, computeMs: Math.max(0, ...busyUs) / 1000 };
}

/** Ids of the compute and update tasks of every device in the order in which they start: each device's program. */
export function deviceOrders({ tasks, deviceCount }: TaskGraph, { startUs, endUs }: Timeline): number[][] {
  const orders = Array.from({ length: deviceCount }, (): Task[] => []);
  for (const task of tasks) {
    if (task.kind === 'forward' || task.kind === 'backward' || task.kind === 'update') orders[task.device]!.push(task);
  }
  return orders.map((order) =>
    order
      .toSorted((a, b) => startUs[a.id]! - startUs[b.id]! || endUs[a.id]! - endUs[b.id]! || a.key - b.key)
      .map(({ id }) => id),
  );
}

/**
 * A ring sends 2 (k - 1) chunks of one k-th from each of k devices, an owner's clients the whole to it and back; an exchange
 * the whole from each to each other. Of m devices in each of n nodes, a hierarchy sends 2 (m - 1) chunks of one m-th within
 * each node, and 2 (n - 1) of one n-th between them: as much as a ring.
 */
export function collectiveBytes(algorithm: CollectiveAlgorithm, devices: number, bytes: number): number {
  const others = devices - 1;
  return algorithm === 'exchange' ? devices * others * bytes : 2 * others * bytes;
}
