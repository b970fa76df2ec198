import type { OptimizerSettings } from '../../soap/job/training-job.ts';
import { wholeRegion } from '../../soap/region/region.ts';
import type { Rows } from '../program/batch-loader.ts';
import type { InMemoryOptions } from '../program/in-memory.ts';
import { InMemoryRun } from '../program/in-memory.ts';
import { copyRegion } from '../kernels/regions.ts';
import { elementCount } from '../../soap/onnx/indexing.ts';

/** What a forward and backward pass gives. */
export interface PassOutcome {
  readonly loss: number;
  /** Whole gradients by name of the parameters that are trained. */
  readonly gradients: ReadonlyMap<string, Float32Array>;
}

/** Gradients are read where the optimizer reads them; it is to change nothing. */
const STANDING_STILL: OptimizerSettings = {
  name: 'sgd',
  learningRate: 0,
  momentum: 0,
  nesterov: false,
  weightDecay: 0,
  schedule: { name: 'constant', warmupSteps: 0 },
};

/**
 * A share of the largest norm of a parameter's gradient, by which errors of smaller ones are measured: what should be 0, such
 * as the gradient of a bias before a normalization, is rounding and nothing else.
 */
const LEAST_NORM = 1e-2;

/** Runs one pass on some rows under a strategy, all devices in this process. */
export async function runPass(options: Omit<InMemoryOptions, 'optimizer'>, rows: Rows): Promise<PassOutcome> {
  const run = new InMemoryRun({ ...options, optimizer: STANDING_STILL });
  try {
    const { lossSum, lossCount } = await run.train({ step: 0, learningRate: 0 }, rows);
    return { loss: lossSum / lossCount, gradients: await wholeGradients(run) };
  } finally {
    run.release();
  }
}

async function wholeGradients({ layout, programs }: InMemoryRun): Promise<Map<string, Float32Array>> {
  const gradients = new Map<string, Float32Array>();
  for (const { id, tensor, region, devices, isTrained } of layout.shards) {
    if (!isTrained) continue;
    const { name, shape } = layout.graph.tensors[tensor]!;
    const elements = elementCount(shape);
    const memory = gradients.get(name) ?? new Float32Array(elements);
    gradients.set(name, memory);
    const gradient = await programs[devices[0]!]!.gradient(id);
    copyRegion({ memory: gradient, frame: region }, { memory, frame: wholeRegion(shape) }, region);
  }
  return gradients;
}

/** The parameter whose gradient is farthest off, and how far: the 2-norm of the difference, relative. */
export function largestError(
  actual: PassOutcome['gradients'],
  expected: PassOutcome['gradients'],
): [parameter: string, error: number] {
  const norms = new Map([...expected].map(([name, values]) => [name, norm(values, () => 0)]));
  const least = LEAST_NORM * Math.max(...norms.values(), 0);
  let worst: [string, number] = ['', 0];
  for (const [name, values] of expected) {
    const found = actual.get(name)!;
    const error = norm(values, (i) => found[i]!) / Math.max(norms.get(name)!, least, Number.MIN_VALUE);
    if (!(error <= worst[1])) worst = [name, error];
  }
  return worst;
}

function norm(values: Float32Array, origin: (index: number) => number): number {
  return Math.sqrt(values.reduce((sum, value, i) => sum + (value - origin(i)) ** 2, 0));
}
