import type { Graph } from '../../soap/graph/graph.ts';
import type { Plan } from '../../soap/plan/plan.ts';
import type { TaskGraph } from '../../soap/tasks/task-graph.ts';

/** An op on one device: what its kernels take in an iteration, and what they should. */
export interface OpPace {
  readonly op: string;
  readonly seconds: number;
  readonly predictedSeconds: number;
}

/** First passes, which touch all memory for the first time, do not count. */
const WARM_UP_PASSES = 1;

/**
 * Adds up what the kernels of a device's ops take. Tasks of a segment run as one kernel; its time is dealt out among their ops as the
 * plan predicts them.
 */
export class OpClock {
  readonly #tasks: TaskGraph;
  readonly #graph: Graph;
  /** By op id, one iteration on this device. */
  readonly #predictedMs: Float64Array;
  /** By the first task of a kernel. */
  readonly #spent = new Map<number, { readonly tasks: readonly number[]; seconds: number }>();
  #passes = 0;

  /** @param planned the ops of the plan, by name; the simulator's times where it has none, as older plans */
  constructor(tasks: TaskGraph, graph: Graph, device: number, planned: Plan['ops']) {
    this.#tasks = tasks;
    this.#graph = graph;
    this.#predictedMs = predictedOpMs(tasks, graph, device, planned);
  }

  /** A kernel of a segment ran. */
  add(tasks: readonly number[], seconds: number): void {
    const [first] = tasks;
    if (first === undefined) return;
    const known = this.#spent.get(first);
    if (known === undefined) this.#spent.set(first, { tasks, seconds });
    else known.seconds += seconds;
  }

  /** A training pass is over. */
  endPass(): void {
    this.#passes += 1;
    if (this.#passes === WARM_UP_PASSES) this.#spent.clear();
  }

  /** The op whose time parts most from its prediction, per iteration; undefined before there is any. */
  farthest(): OpPace | undefined {
    const passes = this.#passes - WARM_UP_PASSES;
    if (passes <= 0) return undefined;
    const seconds = new Float64Array(this.#predictedMs.length);
    for (const { tasks, seconds: spent } of this.#spent.values()) this.#dealOut(tasks, spent / passes, seconds);
    let farthest: OpPace | undefined;
    for (const { id, name } of this.#graph.ops) {
      if (seconds[id] === 0) continue;
      const pace = { op: name, seconds: seconds[id]!, predictedSeconds: this.#predictedMs[id]! / 1000 };
      if (farthest === undefined || gap(pace) > gap(farthest)) farthest = pace;
    }
    return farthest;
  }

  #dealOut(tasks: readonly number[], spent: number, seconds: Float64Array): void {
    const ops = tasks.map((id) => opOf(this.#tasks, id));
    const weights = ops.map((op) => (op === undefined ? 0 : this.#predictedMs[op]!));
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    for (const [i, op] of ops.entries())
      if (op !== undefined) seconds[op]! += spent * (total > 0 ? weights[i]! / total : 1 / ops.length);
  }
}

function gap({ seconds, predictedSeconds }: OpPace): number {
  return Math.abs(seconds - predictedSeconds);
}

function opOf({ tasks }: TaskGraph, id: number): number | undefined {
  const task = tasks[id]!;
  return task.kind === 'forward' || task.kind === 'backward' ? task.op : undefined;
}

/** By op id: milliseconds of its tasks on a device, as the plan says them, or as the simulator does where the plan does not. */
export function predictedOpMs(
  { tasks }: TaskGraph,
  { ops }: Graph,
  device: number,
  planned: Plan['ops'],
): Float64Array {
  const simulatedMs = new Float64Array(ops.length);
  for (const task of tasks) {
    if ((task.kind === 'forward' || task.kind === 'backward') && task.device === device)
      simulatedMs[task.op]! += task.durationUs / 1000;
  }
  return simulatedMs.map((ms, op) => (ms === 0 ? 0 : (planned[ops[op]!.name]?.computeMs ?? ms)));
}
