import { opDefinition, opDimensions } from '../../soap/ops/index.ts';
import { wholePart } from '../../soap/ops/kernel.ts';
import { createRandom } from '../../soap/random.ts';
import type { BuiltCase } from './op-case.ts';
import type { OpResult, Runner } from './op-splits.ts';
import { runWhole } from './op-splits.ts';

/** Elements of each input that central differences are taken of. */
const SAMPLES = 20;

/** Step of the differences in float64: their error is of the order of its square. */
const STEP = 1e-4;

/**
 * The largest element-wise difference of two tensors, relative to the largest element; NaN counts as infinite.
 * @param scale at least this is taken for the largest element
 */
export function distance(actual: ArrayLike<number>, expected: ArrayLike<number>, scale: number = 1e-30): number {
  if (actual.length !== expected.length) return Infinity;
  let [largest, difference] = [scale, 0];
  for (let i = 0; i < expected.length; i += 1) {
    largest = Math.max(largest, Math.abs(expected[i]!));
    const each = Math.abs(actual[i]! - expected[i]!);
    difference = Number.isNaN(each) ? Infinity : Math.max(difference, each);
  }
  return difference / largest;
}

/** What differs between two results of an op by more than the tolerance. */
export function differences(actual: OpResult, expected: OpResult, tolerance: number): string[] {
  const found = expected.outputs.map((tensor, i) => [`output ${i}`, distance(actual.outputs[i]!, tensor)] as const);
  const gradients = expected.gradInputs.flatMap((tensor, i) =>
    tensor === undefined ? [] : [[`gradient of input ${i}`, distance(actual.gradInputs[i] ?? [], tensor)] as const],
  );
  return [...found, ...gradients]
    .filter(([, error]) => !(error <= tolerance))
    .map(([what, error]) => `${what} is off by ${error.toExponential(1)}`);
}

/**
 * Holds gradients against central differences of the sum of outputs times their gradients, in float64.
 * @returns a sentence per input whose gradient is not what the differences say
 */
export async function gradientErrors(built: BuiltCase, runner: Runner, tolerance: number): Promise<string[]> {
  const { gradInputs } = await runWhole(built, runner);
  const random = createRandom(2);
  const errors: string[] = [];
  for (const [input, gradient] of gradInputs.entries()) {
    if (gradient === undefined) continue;
    const largest = gradient.reduce((a, b) => Math.max(a, Math.abs(b)), 1e-6);
    for (let sample = 0; sample < Math.min(SAMPLES, gradient.length); sample += 1) {
      const element = random.integer(gradient.length);
      const slope = await centralDifference(built, runner, input, element);
      const error = Math.abs(slope - gradient[element]!) / largest;
      if (error <= tolerance) continue;
      errors.push(`gradient of input ${input}[${element}] is ${gradient[element]}; differences give ${slope}`);
      break;
    }
  }
  return errors;
}

async function centralDifference(built: BuiltCase, runner: Runner, input: number, element: number): Promise<number> {
  const objective = async (shift: number): Promise<number> => {
    const inputs = built.inputs.map((values, i) =>
      i === input ? values.with(element, values[element]! + shift) : values,
    );
    const { outputs } = await runWhole({ ...built, inputs, wants: built.wants.map(() => false) }, runner);
    return outputs.reduce(
      (sum, output, k) => output.reduce((inner, value, i) => inner + value * built.gradOutputs[k]![i]!, sum),
      0,
    );
  };
  return ((await objective(STEP)) - (await objective(-STEP))) / (2 * STEP);
}

/** What is wrong with the op's description of itself: names, kinds, sizes, FLOPs. */
export function descriptionErrors({ graph, op }: BuiltCase): string[] {
  const dimensions = opDimensions(graph, op);
  const output = graph.tensors[op.outputs[0]!]!.shape;
  const definition = opDefinition(op.kind);
  const part = wholePart(graph, op);
  const errors: string[] = [];
  if (new Set(dimensions.map(({ name }) => name)).size < dimensions.length) errors.push('dimensions share a name');
  for (const { name, size, axis } of dimensions) {
    if (!(size >= 1) || (axis !== undefined && output[axis]! % size !== 0)) {
      errors.push(`dimension ${name} has size ${size} on an axis of ${axis === undefined ? 'none' : output[axis]}`);
    }
  }
  op.inputs.forEach((id, input) => {
    const { shape } = graph.tensors[id]!;
    const region = part.inputs[input];
    const outside = region?.some(([start, end], axis) => start < 0 || end > shape[axis]! || start >= end);
    if (region !== undefined && (outside || region.length !== shape.length))
      errors.push(`input ${input} has a box outside`);
  });
  for (const flops of [definition.forwardFlops(part), definition.backwardFlops(part)]) {
    if (!(Number.isFinite(flops) && flops >= 0)) errors.push(`its FLOPs are ${flops}`);
  }
  return errors;
}
