import type { CostEntry } from '../../soap/cost/cost-table.ts';
import { workKey } from '../../soap/cost/cost-table.ts';
import type { TrainingGraph } from '../../soap/graph/loss.ts';
import type { OptimizerSettings } from '../../soap/job/training-job.ts';
import type { OnnxGraph } from '../../soap/onnx/model.ts';
import type { KernelEngine } from '../kernels/kernels.ts';
import { KernelError } from '../kernels/kernels.ts';
import type { Effort } from './measure-kernel.ts';
import { timeKernel } from './measure-kernel.ts';
import { workKernels } from './work-kernels.ts';

/** What is measured, and how. */
export interface MeasureModelOptions {
  readonly training: Pick<TrainingGraph, 'graph'>;
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
}

/** Times the kernels of a model, one after the other; those that the engine refuses are left out. */
export async function measureModel(engine: KernelEngine, options: MeasureModelOptions): Promise<MeasuredModel> {
  const { training, devices, optimizer, known, effort, limitMs, signal } = options;
  const kernels = workKernels(training, devices, optimizer).filter(({ work }) => !known.has(workKey(work)));
  const untilMs = performance.now() + limitMs;
  const entries: CostEntry[] = [];
  for (const [done, kernel] of kernels.entries()) {
    if (signal.aborted || performance.now() > untilMs) return { entries, missing: kernels.length - done };
    options.onProgress(done, kernels.length);
    try {
      entries.push({ ...kernel.work, ...(await timeKernel(engine, kernel.graph(), effort)) });
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
    }
  }
  options.onProgress(kernels.length, kernels.length);
  return { entries, missing: 0 };
}

/** A kernel that does next to nothing: what remains is its start. */
export async function measureStart(engine: KernelEngine, effort: Effort): Promise<number> {
  const value = { dtype: 'float32', shape: [1] } as const;
  const graph: OnnxGraph = {
    name: 'start',
    opset: 17,
    inputs: [{ name: 'x', ...value }],
    outputs: [{ name: 'y', ...value }],
    initializers: new Map(),
    nodes: [{ name: 'relu', opType: 'Relu', domain: '', inputs: ['x'], outputs: ['y'], attributes: {} }],
  };
  return (await timeKernel(engine, graph, effort)).us;
}
