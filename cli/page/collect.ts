import type { Explained } from '../../soap/explain/explanation.ts';
import { explainedMemory } from '../../soap/explain/simulated-trace.ts';
import { neededMemory, withNeeded } from '../../soap/simulator/needed-memory.ts';
import { opDimensions } from '../../soap/ops/index.ts';
import type { PlanningProblem } from '../../soap/simulator/evaluate.ts';
import type { DeviceMemory } from '../../soap/simulator/memory-timeline.ts';
import type { Plan } from '../../soap/plan/plan.ts';
import type { Strategy } from '../../soap/strategy/strategy.ts';
import type { Task } from '../../soap/tasks/task-graph.ts';
import { layOutGraph } from './graph-layout.ts';
import type { PageData, PageMemory, PageOp, PageRow } from './page-data.ts';
import { SLICE_KINDS } from './page-data.ts';

/** Puts together what the page shows of a plan. */
export function collectPageData(
  plan: Plan,
  problem: PlanningProblem,
  strategy: Strategy,
  explained: Explained,
): PageData {
  const { cluster, training } = problem;
  const { ops, criticalPath: _path, ...explanation } = explained.explanation;
  const layout = layOutGraph(training.graph);
  const memory = memoryOf(problem, strategy, explained);
  return {
    explanation: { ...explanation, prediction: withNeeded(explanation.prediction, memory) },
    ops: ops.map((op, id): PageOp => {
      const { degrees, devices } = strategy.configs[id]!;
      const cuts = opDimensions(training.graph, training.graph.ops[id]!)
        .map(({ name, kind }, i) => ({ name, kind, degree: degrees[i]! }))
        .filter(({ degree }) => degree > 1);
      return { ...op, cuts, partDevices: devices, ...layout.ops[id]! };
    }),
    edges: layout.edges,
    graphWidth: layout.width,
    graphHeight: layout.height,
    successors: layout.successors,
    nodes: Array.from(
      Map.groupBy(cluster.devices, ({ node }) => node),
      ([name, devices]) => ({ name, devices: devices.map(({ id }) => id) }),
    ),
    deviceTypes: cluster.devices.map(({ type }) => type),
    ...timelineOf(problem, explained),
    memory,
    origin: plan.origin,
    baselines: plan.baselines,
    ...(plan.search?.curve === undefined ? {} : { curve: plan.search.curve }),
  };
}

type Timeline = Pick<
  PageData,
  'rows' | 'sliceStartUs' | 'sliceDurationUs' | 'sliceCode' | 'pathFromUs' | 'pathToUs' | 'pathRow'
>;

interface Slice {
  readonly fromUs: number;
  readonly toUs: number;
  readonly code: number;
}

/** Devices, then the links in use, busiest first. */
function timelineOf({ cluster }: PlanningProblem, { causes, explanation, opOfTask, path }: Explained): Timeline {
  const { graph, timeline, stays } = causes;
  const slices: Slice[][] = [...cluster.devices, ...cluster.links].map(() => []);
  for (const task of graph.tasks) {
    const code = opOfTask[task.id]! * 8 + SLICE_KINDS.indexOf(sliceKind(task));
    task.resources.forEach((resource, i) => {
      const stay = task.kind === 'transfer' ? stays[task.id]![i] : undefined;
      const fromUs = stay?.enterUs ?? timeline.startUs[task.id]!;
      slices[resource]!.push({ fromUs, toUs: stay?.releaseUs ?? timeline.endUs[task.id]!, code });
    });
  }
  const resources = [
    ...cluster.devices.map(({ id }) => id),
    ...explanation.links.map(({ link }) => cluster.devices.length + link),
  ];
  const rowOf = new Map(resources.map((resource, row) => [resource, row]));
  const shown = resources.map((resource) => slices[resource]!.sort((a, b) => a.fromUs - b.fromUs || a.toUs - b.toUs));
  const all = shown.flat();
  return {
    rows: resources.map((resource, row): PageRow => ({
      name: (cluster.devices[resource] ?? cluster.links[resource - cluster.devices.length]!).name,
      kind: resource < cluster.devices.length ? 'device' : 'link',
      sliceCount: shown[row]!.length,
    })),
    sliceStartUs: base64(Float32Array.from(all, ({ fromUs }) => fromUs)),
    sliceDurationUs: base64(Float32Array.from(all, ({ fromUs, toUs }) => toUs - fromUs)),
    sliceCode: base64(Uint32Array.from(all, ({ code }) => code)),
    pathFromUs: base64(Float32Array.from(path, ({ fromUs }) => fromUs)),
    pathToUs: base64(Float32Array.from(path, ({ toUs }) => toUs)),
    pathRow: base64(Uint32Array.from(path, ({ task }) => rowOf.get(graph.tasks[task]!.resources[0] ?? 0) ?? 0)),
  };
}

function sliceKind(task: Task): (typeof SLICE_KINDS)[number] {
  return task.kind === 'transfer' ? task.payload : task.kind;
}

function base64({ buffer }: Float32Array<ArrayBuffer> | Uint32Array<ArrayBuffer>): string {
  return Buffer.from(buffer).toString('base64');
}

/** Points of a memory curve; the page has one for each device. */
const MEMORY_POINTS = 160;

function memoryOf(problem: PlanningProblem, strategy: Strategy, explained: Explained): PageMemory[] {
  const { bytes, isExact } = neededMemory(problem, strategy);
  return explainedMemory(problem, strategy, explained).map((memory) => ({
    ...thinned(memory, problem),
    neededBytes: bytes[memory.device]!,
    isExact,
  }));
}

function thinned(
  { device, timesUs, bytes, peakBytes }: DeviceMemory,
  { cluster }: PlanningProblem,
): Omit<PageMemory, 'neededBytes' | 'isExact'> {
  const { name, memoryBytes } = cluster.devices[device]!;
  const endUs = timesUs.at(-1) ?? 0;
  const most = new Float64Array(MEMORY_POINTS);
  timesUs.forEach((timeUs, i) => {
    const bin = (us: number): number => Math.min(MEMORY_POINTS - 1, Math.floor((us / (endUs || 1)) * MEMORY_POINTS));
    for (let at = bin(timeUs); at <= bin(timesUs[i + 1] ?? timeUs); at++) most[at] = Math.max(most[at]!, bytes[i]!);
  });
  return {
    device: name,
    capacityBytes: memoryBytes,
    peakBytes,
    timesUs: Array.from(most, (_, i) => Math.round((i / MEMORY_POINTS) * endUs)),
    bytes: Array.from(most, Math.round),
  };
}
