import type { Trace, TraceSlice, TraceTrack } from '../../soap/explain/chrome-trace.ts';
import { opsOfTasks, taskInWords } from '../../soap/explain/task-names.ts';
import type { Cluster } from '../../soap/cluster/cluster.ts';
import type { Graph } from '../../soap/graph/graph.ts';
import type { TaskGraph } from '../../soap/tasks/task-graph.ts';
import type { Span } from '../program/recorder.ts';

/** What was recorded of a run, and what it ran. */
export interface RecordedRun {
  readonly graph: Graph;
  readonly cluster: Cluster;
  readonly tasks: TaskGraph;
  /** By device. */
  readonly spans: readonly (readonly Span[])[];
}

/** Spans that go on while the device does something else. */
const ASIDE: ReadonlySet<Span['kind']> = new Set(['send', 'collective', 'gather']);

/** Waits that are too short to be seen. */
const LEAST_WAIT_US = 1;

/**
 * The recorded steps as a trace, with the processes, device threads and task names of the simulated one (`simulatedTrace`).
 * What a device sends and sums while it computes has threads of its own below it. The tasks of a segment ran as one kernel;
 * its time is dealt out among them as the simulator thinks they take it.
 */
export function measuredTrace(run: RecordedRun): Trace {
  const { cluster, graph, spans } = run;
  const processes = [...new Set(cluster.devices.map(({ node }) => node))];
  const tracks: TraceTrack[] = cluster.devices.map(({ name, node }) => ({ process: processes.indexOf(node), name }));
  const originMs = spans.flat().reduce((least, { startMs }) => Math.min(least, startMs), Infinity);
  const namer = new SliceNamer(run, originMs);
  const slices = spans.flatMap((ofDevice, device) => [
    ...ofDevice.filter(({ kind }) => !ASIDE.has(kind)).flatMap((span) => namer.slices(span, device)),
    ...lanes(ofDevice.filter(({ kind }) => ASIDE.has(kind))).flatMap((lane, i) => {
      const { process, name } = tracks[device]!;
      const track = tracks.push({ process, name: `${name} sends (${i + 1})` }) - 1;
      return lane.flatMap((span) => namer.slices(span, track));
    }),
  ]);
  return {
    processes,
    tracks,
    slices,
    flows: [],
    counters: [],
    about: { source: 'measured', model: graph.name, cluster: cluster.name },
  };
}

/** Deals spans out so that those of a lane do not overlap. */
function lanes(spans: readonly Span[]): Span[][] {
  const dealt: Span[][] = [];
  for (const span of spans.toSorted((a, b) => a.startMs - b.startMs)) {
    const free = dealt.find((lane) => lane.at(-1)!.endMs <= span.startMs);
    if (free === undefined) dealt.push([span]);
    else free.push(span);
  }
  return dealt;
}

class SliceNamer {
  readonly #run: RecordedRun;
  readonly #originMs: number;
  readonly #opOfTask: Int32Array;

  constructor(run: RecordedRun, originMs: number) {
    this.#run = run;
    this.#originMs = originMs;
    this.#opOfTask = opsOfTasks(run.tasks, run.graph);
  }

  slices(span: Span, track: number): TraceSlice[] {
    const { kind, step, tasks } = span;
    const startUs = (span.startMs - this.#originMs) * 1000;
    const durationUs = (span.endMs - span.startMs) * 1000;
    const whole = (name: string): TraceSlice => ({
      track,
      name,
      category: kind,
      startUs,
      durationUs,
      details: { step },
    });
    switch (kind) {
      case 'step':
        return [whole(`step ${step + 1}`)];
      case 'load':
        return [whole('load the batch')];
      case 'wait':
        return durationUs < LEAST_WAIT_US ? [] : [whole(`wait before ${this.#name(tasks[0]!)}`)];
      case 'finish':
        return durationUs < LEAST_WAIT_US ? [] : [whole(`send after ${this.#name(tasks.at(-1)!)}`)];
      case 'segment':
      case 'update':
      case 'send':
      case 'collective':
      case 'gather':
        return this.#dealOut(span, track, startUs, durationUs);
    }
  }

  #dealOut({ step, tasks }: Span, track: number, startUs: number, durationUs: number): TraceSlice[] {
    const { graph } = this.#run;
    const expected = tasks.map((id) => this.#run.tasks.tasks[id]!);
    const totalUs = expected.reduce((sum, task) => sum + task.durationUs, 0);
    let atUs = startUs;
    return expected.map((task) => {
      const share = totalUs > 0 ? task.durationUs / totalUs : 1 / tasks.length;
      const slice: TraceSlice = {
        track,
        name: this.#name(task.id),
        category: task.kind,
        startUs: atUs,
        durationUs: share * durationUs,
        details: { step, op: graph.ops[this.#opOfTask[task.id]!]!.name, kernelTasks: tasks.length },
      };
      atUs += slice.durationUs;
      return slice;
    });
  }

  #name(id: number): string {
    const { tasks, graph, cluster } = this.#run;
    return taskInWords(tasks.tasks[id]!, tasks, graph, cluster);
  }
}
