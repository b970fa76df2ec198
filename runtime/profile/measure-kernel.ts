import { setImmediate } from 'node:timers/promises';
import { createRandom } from '../../soap/random.ts';
import type { OnnxGraph } from '../../soap/onnx/model.ts';
import type { BoundKernel, Kernel, KernelEngine, TensorBuffer } from '../kernels/kernels.ts';
import { KernelError } from '../kernels/kernels.ts';
import { together } from '../kernels/together.ts';
import { quantile } from '../../soap/quantile.ts';

/** How long something takes. */
export interface Timing {
  /** What a quarter of the times are below, microseconds: other work on the machine only ever makes one longer. */
  readonly us: number;
  /** Half of the distance between the quartiles, as a share of the median. */
  readonly spread: number;
}

/** When measurements are good enough, or have taken long enough. */
export interface Effort {
  /** The spread that is small enough, for half of the kernels. */
  readonly spread: number;
  /** For each kernel. */
  readonly limitMs: number;
}

export const DEFAULT_EFFORT: Effort = { spread: 0.02, limitMs: 40 };

const [WARM_UPS, MIN_ROUNDS, MAX_ROUNDS] = [2, 5, 101];

/** Rounds between looks at the spread. */
const LOOK_EVERY = 5;

/** A kernel with memory of its own, ready to run. */
export interface ReadyKernel {
  readonly bound: BoundKernel;
  release(): void;
}

/** Compiles a graph and gives it memory; undefined where the engine refuses it. */
export async function readyKernel(engine: KernelEngine, graph: OnnxGraph): Promise<ReadyKernel | undefined> {
  let kernel: Kernel | undefined;
  try {
    kernel = engine.compile(graph);
    const buffers = buffersOf(engine, graph);
    await engine.upload(Object.values(buffers));
    const compiled = kernel;
    return { bound: compiled.bind(buffers), release: () => compiled.release() };
  } catch (error) {
    kernel?.release();
    if (error instanceof KernelError) return undefined;
    throw error;
  }
}

/** Several of them as one that runs as many at once as the engine takes; undefined where it refuses any. */
export async function readyTogether(
  engine: KernelEngine,
  graphs: readonly OnnxGraph[],
  concurrency: number,
): Promise<ReadyKernel | undefined> {
  const all: ReadyKernel[] = [];
  const release = (): void => all.forEach((each) => each.release());
  for (const graph of graphs) {
    const ready = await readyKernel(engine, graph);
    if (ready === undefined) {
      release();
      return undefined;
    }
    all.push(ready);
  }
  const [first] = all;
  if (all.length === 1) return first;
  const bound = together(
    all.map((each) => each.bound),
    concurrency,
  );
  return { bound, release };
}

/**
 * Times kernels in turns: in each round every one runs once, as in an iteration of training. So the data of one is out of the
 * fast caches, and the processor has forgotten its ways, where they would be in training too. A kernel run again and again takes
 * half as long (docs/performance/predictions-log.md).
 * @returns timings in the order of the kernels; undefined where a run fails
 */
export async function timeInTurns(
  kernels: readonly ReadyKernel[],
  { spread, limitMs }: Effort,
): Promise<(Timing | undefined)[]> {
  const times: number[][] = kernels.map(() => []);
  const failed = new Set<number>();
  const untilMs = performance.now() + limitMs * kernels.length;
  for (let round = 0; round < WARM_UPS + MAX_ROUNDS; round++) {
    for (const [i, { bound }] of kernels.entries()) {
      if (failed.has(i)) continue;
      const us = await timeRun(bound).catch((error: unknown) => {
        if (!(error instanceof KernelError)) throw error;
        failed.add(i);
        return 0;
      });
      if (round >= WARM_UPS) times[i]!.push(us);
    }
    const rounds = round + 1 - WARM_UPS;
    if (rounds < MIN_ROUNDS || rounds % LOOK_EVERY > 0) continue;
    if (performance.now() >= untilMs || middle(times.map((each) => quietTiming(each).spread)) <= spread) break;
    await setImmediate();
  }
  return times.map((each, i) => (failed.has(i) ? undefined : quietTiming(each)));
}

/** Microseconds of one run. */
async function timeRun(bound: BoundKernel): Promise<number> {
  const startMs = performance.now();
  if (bound.runHere === undefined) await bound.run();
  else bound.runHere();
  return (performance.now() - startMs) * 1000;
}

function middle(values: readonly number[]): number {
  return quantile(values, 0.5)!;
}

/** @param times at least one, in any order */
export function quietTiming(times: readonly number[]): Timing {
  const sorted = times.toSorted((a, b) => a - b);
  const at = (share: number): number => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))]!;
  return { us: at(0.25), spread: (at(0.75) - at(0.25)) / (2 * at(0.5)) };
}

/**
 * Buffers of all inputs and outputs, with values that no kernel is slow on, no denormals, no invalid indices, and none fast: pooling
 * compares, and a processor foresees what comes of values in a pattern.
 */
function buffersOf(engine: KernelEngine, { inputs, outputs }: OnnxGraph): Record<string, TensorBuffer> {
  const buffers: Record<string, TensorBuffer> = {};
  const random = createRandom(1);
  for (const { name, dtype, shape } of [...inputs, ...outputs]) {
    const elements = shape.reduce<number>((product, extent) => product * Number(extent), 1);
    const buffer = engine.allocate(dtype, elements);
    const { host } = buffer;
    if (host instanceof Float32Array) for (let i = 0; i < elements; i++) host[i] = 0.1 + random.next();
    buffers[name] = buffer;
  }
  return buffers;
}

/** Bytes of the inputs and outputs of a graph, as if all elements were float32. */
export function boundBytes({ inputs, outputs }: OnnxGraph): number {
  return [...inputs, ...outputs].reduce(
    (sum, { shape }) => sum + shape.reduce<number>((product, extent) => product * Number(extent), 4),
    0,
  );
}
