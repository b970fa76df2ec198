import type { Strategy } from '../strategy/strategy.ts';
import { buildTaskGraph } from '../tasks/build.ts';
import { layOut } from '../tasks/layout.ts';
import type { NetworkProblem } from './delta/network.ts';
import { liveTensors } from './live-tensors.ts';
import { memoryTimeline } from './memory-timeline.ts';
import { neededMemory } from './needed-memory.ts';
import { simulate } from './simulate.ts';

/** Ops that are named for a device. */
const MAX_OPS = 10;

/** What an op needs of a device's memory, in the course of an iteration. */
export interface OpShare {
  readonly op: string;
  readonly neededBytes: number;
  /** Of these, what is live at the device's peak. */
  readonly peakBytes: number;
}

/** A device's memory, and who needs it. */
export interface DeviceMemoryReport {
  readonly device: string;
  readonly capacityBytes: number;
  /** All that the runtime allocates, and that its kernels hold inside: it decides whether a plan fits. */
  readonly neededBytes: number;
  /** Whether that is exact; it is estimated where to look at it would take minutes. */
  readonly isExact: boolean;
  /** What of it there is not. */
  readonly missingBytes: number;
  /** The most that is live at a time, and when. */
  readonly peakBytes: number;
  readonly peakMs: number;
  /** Ops that need most, largest first. */
  readonly ops: readonly OpShare[];
}

/** Says of every device what a strategy needs of its memory. Builds and simulates the whole task graph. */
export function memoryReport(problem: NetworkProblem, strategy: Strategy): DeviceMemoryReport[] {
  const { training, cluster, costs, optimizer } = problem;
  const graph = buildTaskGraph(training, strategy, cluster, costs, problem);
  const layout = layOut(training, strategy);
  const tensors = liveTensors({ training, layout, graph, timeline: simulate(graph) }, optimizer);
  const { bytes: needed, isExact } = neededMemory(problem, strategy);
  return memoryTimeline(tensors, cluster.devices.length).map((memory, id) => {
    const { name, memoryBytes: capacityBytes } = cluster.devices[id]!;
    const peakOf = new Map(memory.peakOps.map(({ op, bytes }) => [op, bytes]));
    return {
      device: name,
      capacityBytes,
      neededBytes: needed[id]!,
      isExact,
      missingBytes: Math.max(0, needed[id]! - capacityBytes),
      peakBytes: memory.peakBytes,
      peakMs: memory.peakUs / 1000,
      ops: memory.allOps.slice(0, MAX_OPS).map(({ op, bytes }) => ({
        op: training.graph.ops[op]!.name,
        neededBytes: bytes,
        peakBytes: peakOf.get(op) ?? 0,
      })),
    };
  });
}
