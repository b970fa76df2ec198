import type { TaskWork } from '../../soap/cost/task-work.ts';
import type { CostEntry } from '../../soap/cost/cost-table.ts';
import { workKey } from '../../soap/cost/cost-table.ts';
import type { TrainingGraph } from '../../soap/training/loss.ts';
import type { OptimizerSettings } from '../../soap/job/training-job.ts';
import type { OnnxGraph } from '../../soap/onnx/model.ts';
import type { KernelEngine } from '../kernels/kernels.ts';
import type { Effort, ReadyKernel } from './measure-kernel.ts';
import { boundBytes, readyKernel, readyTogether, timeInTurns } from './measure-kernel.ts';
import { workKernels } from './work-kernels.ts';

/** What is measured, and how. */
export interface MeasureModelOptions {
  readonly training: TrainingGraph;
  /** Splits into at most so many parts. */
  readonly devices: number;
  readonly optimizer: OptimizerSettings;
  /** Work that is known already, by `workKey`. */
  readonly known: ReadonlySet<string>;
  readonly effort: Effort;
  /** No kernel is begun after so many milliseconds. */
  readonly limitMs: number;
  /** Aborting it ends the measuring with what there is. */
  readonly signal: AbortSignal;
  onProgress(done: number, of: number): void;
}

/** What was measured, and how many kernels were left out because time was up. */
export interface MeasuredModel {
  readonly entries: readonly CostEntry[];
  readonly missing: number;
  /** A kernel that does next to nothing: its start is in all others too. */
  readonly startUs: number;
}

/**
 * Memory of kernels that take turns: more than caches hold, less than a machine has. Kernels that share turns come from the same
 * splits of neighbouring ops, as in an iteration.
 */
const TURN_BYTES = 256 * 2 ** 20;

/**
 * Kernels whose turns are taken together at most: in the host's memory, and on a device, where each keeps what the device's libraries need
 * beside its tensors. Source: six processes of golden cases beside a profile of 512 kernels a turn filled the 80 GB of an H100, and failed.
 */
const [TURN_KERNELS, DEVICE_TURN_KERNELS] = [512, 32];

/** Times the kernels of a model, many at a time, in turns; those that the engine refuses are left out. */
export async function measureModel(engine: KernelEngine, options: MeasureModelOptions): Promise<MeasuredModel> {
  const { training, devices, optimizer, known, effort, limitMs, signal } = options;
  const kernels = workKernels(training, devices, optimizer).filter(({ work }) => !known.has(workKey(work)));
  const { concurrency = 1 } = engine;
  const turnKernels = engine.adopt === undefined ? DEVICE_TURN_KERNELS : TURN_KERNELS;
  const untilMs = performance.now() + limitMs;
  const entries: CostEntry[] = [];
  const isOver = (): boolean => signal.aborted || performance.now() > untilMs;
  let [done, startUs] = [0, Infinity];
  do {
    const turn: { work?: TaskWork; ready: ReadyKernel }[] = [];
    const start = await readyKernel(engine, START);
    if (start !== undefined) turn.push({ ready: start });
    for (let bytes = 0; done < kernels.length && bytes < TURN_BYTES && turn.length < turnKernels && !isOver(); done++) {
      options.onProgress(done, kernels.length);
      const graphs = kernels[done]!.graphs(engine);
      const ready = await readyTogether(engine, graphs, concurrency);
      if (ready !== undefined) turn.push({ work: kernels[done]!.work, ready });
      for (const graph of graphs) bytes += boundBytes(graph);
    }
    const timings = await timeInTurns(
      turn.map(({ ready }) => ready),
      effort,
    );
    for (const [i, { work, ready }] of turn.entries()) {
      const timing = timings[i];
      if (work === undefined) startUs = Math.min(startUs, timing?.us ?? Infinity);
      else if (timing !== undefined) entries.push({ ...work, ...timing });
      ready.release();
    }
  } while (done < kernels.length && !isOver());
  options.onProgress(done, kernels.length);
  return { entries, missing: kernels.length - done, startUs: startUs === Infinity ? 0 : startUs };
}

const VALUE = { dtype: 'float32', shape: [1] } as const;

/** A kernel that does next to nothing. */
const START: OnnxGraph = {
  name: 'start',
  opset: 17,
  inputs: [{ name: 'x', ...VALUE }],
  outputs: [{ name: 'y', ...VALUE }],
  initializers: new Map(),
  nodes: [{ name: 'relu', opType: 'Relu', domain: '', inputs: ['x'], outputs: ['y'], attributes: {} }],
};
