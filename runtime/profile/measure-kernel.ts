import type { OnnxGraph } from '../../soap/onnx/model.ts';
import type { BoundKernel, KernelEngine, TensorBuffer } from '../kernels/kernels.ts';

/** How long something takes. */
export interface Timing {
  /** What a quarter of the times are below, microseconds: other work on the machine only ever makes one longer. */
  readonly us: number;
  /** Half of the distance between the quartiles, as a share of the median. */
  readonly spread: number;
}

/** When a measurement is good enough, or has taken long enough. */
export interface Effort {
  readonly warmUpMs: number;
  /** The spread that is small enough. */
  readonly spread: number;
  readonly limitMs: number;
}

export const DEFAULT_EFFORT: Effort = { warmUpMs: 5, spread: 0.03, limitMs: 60 };

/** Runs are timed together until they take so long: the clock and the event loop are too coarse for one short run. */
const BATCH_US = 500;
const [MIN_BATCHES, MAX_BATCHES] = [7, 101];

/** Times the kernel of a graph on memory of its own. @throws {KernelError} where the engine refuses it */
export async function timeKernel(engine: KernelEngine, graph: OnnxGraph, effort: Effort): Promise<Timing> {
  const kernel = engine.compile(graph);
  try {
    const buffers = buffersOf(engine, graph);
    await engine.upload(Object.values(buffers));
    return await timeRuns(kernel.bind(buffers), effort);
  } finally {
    kernel.release();
  }
}

/** Times runs of a bound kernel, one after the other. */
async function timeRuns(kernel: Pick<BoundKernel, 'run' | 'runHere'>, effort: Effort): Promise<Timing> {
  const runs = async (count: number): Promise<void> => {
    if (kernel.runHere === undefined) for (let i = 0; i < count; i++) await kernel.run();
    else for (let i = 0; i < count; i++) kernel.runHere();
  };
  const beganMs = performance.now();
  let warmUps = 0;
  do {
    await runs(1);
    warmUps += 1;
  } while (performance.now() - beganMs < effort.warmUpMs);
  const aboutUs = ((performance.now() - beganMs) * 1000) / warmUps;
  const batch = Math.max(1, Math.round(BATCH_US / aboutUs));
  const times: number[] = [];
  const untilMs = performance.now() + effort.limitMs;
  for (;;) {
    const startMs = performance.now();
    await runs(batch);
    const endMs = performance.now();
    times.push(((endMs - startMs) * 1000) / batch);
    const enough = times.length >= MAX_BATCHES || (endMs >= untilMs && times.length >= 3);
    if (!enough && times.length < MIN_BATCHES) continue;
    const timing = quietTiming(times);
    if (enough || timing.spread <= effort.spread) return timing;
  }
}

/** @param times at least one, in any order */
export function quietTiming(times: readonly number[]): Timing {
  const sorted = times.toSorted((a, b) => a - b);
  const at = (share: number): number => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))]!;
  return { us: at(0.25), spread: (at(0.75) - at(0.25)) / (2 * at(0.5)) };
}

/** Buffers of all inputs and outputs, with values that no kernel is slow on: no denormals, no invalid indices. */
function buffersOf(engine: KernelEngine, { inputs, outputs }: OnnxGraph): Record<string, TensorBuffer> {
  const buffers: Record<string, TensorBuffer> = {};
  for (const { name, dtype, shape } of [...inputs, ...outputs]) {
    const elements = shape.reduce<number>((product, extent) => product * Number(extent), 1);
    const buffer = engine.allocate(dtype, elements);
    const { host } = buffer;
    if (host instanceof Float32Array) for (let i = 0; i < elements; i++) host[i] = 0.1 + ((i * 37) % 101) / 101;
    buffers[name] = buffer;
  }
  return buffers;
}
