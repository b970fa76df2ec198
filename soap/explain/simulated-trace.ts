import type { PlanningProblem } from '../simulator/evaluate.ts';
import { liveTensors } from '../simulator/live-tensors.ts';
import type { DeviceMemory } from '../simulator/memory-timeline.ts';
import { memoryTimeline } from '../simulator/memory-timeline.ts';
import type { Strategy } from '../strategy/strategy.ts';
import { layOut } from '../tasks/layout.ts';
import type { Task } from '../tasks/task-graph.ts';
import type { Trace, TraceCounter, TraceFlow, TraceSlice, TraceTrack } from './chrome-trace.ts';
import type { Explained } from './explanation.ts';
import { endsOfLink, nodesOfPoints } from './places.ts';
import { taskInWords } from './task-names.ts';

/** Memory of every device over time, by device id. */
export function explainedMemory(
  { training, optimizer }: PlanningProblem,
  strategy: Strategy,
  { causes: { graph, timeline } }: Explained,
): DeviceMemory[] {
  const layout = layOut(training, strategy);
  return memoryTimeline(liveTensors({ training, layout, graph, timeline }, optimizer), graph.deviceCount);
}

/**
 * The simulated iteration as a trace: a process for every node and one for the network between them; a thread for every device
 * and for every link in use; an arrow from the task that a transfer's data comes from to the one that waits for it; live
 * memory of every device as a counter.
 */
export function simulatedTrace(problem: PlanningProblem, strategy: Strategy, explained: Explained): Trace {
  const { cluster, training } = problem;
  const tracks = new Tracks(problem, explained);
  return {
    processes: tracks.processes,
    tracks: tracks.tracks,
    slices: slicesOf(problem, explained, tracks),
    flows: flowsOf(explained, tracks),
    counters: explainedMemory(problem, strategy, explained).map(({ device, timesUs, bytes }): TraceCounter => ({
      process: tracks.tracks[tracks.ofResource[device]!]!.process,
      name: `memory of ${cluster.devices[device]!.name}`,
      series: 'bytes',
      timesUs,
      values: bytes,
    })),
    about: { source: 'simulated', model: training.graph.name, cluster: cluster.name },
  };
}

class Tracks {
  readonly processes: string[] = [];
  readonly tracks: TraceTrack[] = [];
  /** By resource: its track, or -1 where it is a link that is not used. */
  readonly ofResource: Int32Array;

  constructor({ cluster }: PlanningProblem, { links }: Explained) {
    const nodes = new Map<string, number>();
    const processOf = (node: string): number => {
      const known = nodes.get(node);
      if (known !== undefined) return known;
      nodes.set(node, this.processes.length);
      return this.processes.push(node) - 1;
    };
    const nodeOfPoint = nodesOfPoints(cluster.devices);
    this.ofResource = new Int32Array(cluster.devices.length + cluster.links.length).fill(-1);
    for (const { id, name, node } of cluster.devices) {
      this.ofResource[id] = this.tracks.push({ process: processOf(node), name }) - 1;
    }
    for (const { link, name, busyUs } of links) {
      if (busyUs === 0) continue;
      const [from, to] = endsOfLink(name);
      const process = processOf(nodeOfPoint(from) ?? nodeOfPoint(to) ?? 'network');
      this.ofResource[cluster.devices.length + link] = this.tracks.push({ process, name: `link ${name}` }) - 1;
    }
  }
}

function* slicesOf(problem: PlanningProblem, explained: Explained, { ofResource }: Tracks): Generator<TraceSlice> {
  const { causes, opOfTask, path } = explained;
  const { graph, timeline, stays } = causes;
  const { ops } = problem.training.graph;
  const critical = new Set(path.map(({ task }) => task));
  for (const task of graph.tasks) {
    const name = taskInWords(task, graph, problem.training.graph, problem.cluster);
    const details = {
      op: ops[opOfTask[task.id]!]!.name,
      critical: critical.has(task.id) ? 'yes' : 'no',
      ...('bytes' in task ? { bytes: task.bytes } : {}),
    };
    const slice = (resource: number, startUs: number, endUs: number): TraceSlice => ({
      track: ofResource[resource]!,
      name,
      category: task.kind,
      startUs,
      durationUs: endUs - startUs,
      details,
    });
    if (task.kind === 'transfer') {
      const own = stays[task.id]!;
      yield* task.hops.map(({ resource }, i) => slice(resource, own[i]!.enterUs, own[i]!.releaseUs));
    } else {
      const [startUs, endUs] = [timeline.startUs[task.id]!, timeline.endUs[task.id]!];
      yield* task.resources.map((resource) => slice(resource, startUs, endUs));
    }
  }
}

/** From the end of what a transfer sends to the start of what reads it. */
function* flowsOf({ causes: { graph, timeline } }: Explained, { ofResource }: Tracks): Generator<TraceFlow> {
  const trackOf = (task: Task): number => ofResource[task.resources[0]!]!;
  for (const task of graph.tasks) {
    if (task.kind !== 'transfer') continue;
    const [from, to] = [graph.tasks[task.predecessors[0]!]!, graph.tasks[task.successors[0]!]!];
    yield {
      name: task.payload,
      fromTrack: trackOf(from),
      fromUs: timeline.endUs[from.id]!,
      toTrack: trackOf(to),
      toUs: timeline.startUs[to.id]!,
    };
  }
}
