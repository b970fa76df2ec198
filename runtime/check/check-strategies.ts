import type { Cluster } from '../../soap/cluster/cluster.ts';
import type { Random } from '../../soap/random.ts';
import { createRandom, deriveSeed } from '../../soap/random.ts';
import { singleDevice } from '../../soap/baselines/index.ts';
import { randomStrategy } from '../../soap/strategy/random.ts';
import type { InMemoryOptions } from '../program/in-memory.ts';
import type { PassOutcome } from './pass-outcome.ts';
import { largestError, runPass } from './pass-outcome.ts';
import { messageOf } from '../../soap/message-of.ts';

/**
 * How far a strategy may be off, relative, of models that rounding does not disturb: usually the loss is off by 1e-7 and
 * gradients by 1e-6. But a value that rounding puts on the other side of a ReLU, or makes the largest of its window, changes
 * gradients at once; one such value of AlexNet was seen to change a parameter's by 4e-3. A wrong split is off by tenths.
 */
const [FORWARD_TOLERANCE, GRADIENT_TOLERANCE] = [1e-4, 1e-2];

/** Or so many times as far as rounding alone puts one device off: in deep networks it changes gradients by percents. */
const TIMES_ROUNDING = 5;

/** Passes of one device with weights that are off by rounding, and by how many units in the last place. */
const [ROUNDED_PASSES, ROUNDED_UNITS] = [3, 4];

export interface CheckOptions extends Omit<InMemoryOptions, 'strategy' | 'optimizer'> {
  readonly cluster: Cluster;
  readonly strategies: number;
  readonly seed: number;
  /** Samples of the batch; those of the data set from the first on. */
  readonly batch: number;
  /** Called after each strategy. */
  onChecked?(checked: number): void;
}

/** A strategy that does not give what one device gives. */
export interface CheckFailure {
  /** Counted from 1; with the seed it says which one it is. */
  readonly strategy: number;
  readonly message: string;
}

export interface CheckResult {
  readonly strategies: number;
  readonly maxForwardError: number;
  readonly maxGradientError: number;
  /** The same errors of one device whose weights are off by a few units in the last place. */
  readonly rounding: { readonly forwardError: number; readonly gradientError: number };
  readonly failures: readonly CheckFailure[];
}

/** How far an outcome is from another, relative, and the parameter whose gradient is farthest. */
interface Errors {
  readonly forward: number;
  readonly gradient: number;
  readonly parameter: string;
}

/** Compares the loss and all gradients under random strategies with those of one device. */
export async function checkStrategies(options: CheckOptions): Promise<CheckResult> {
  const { cluster, training, strategies, seed } = options;
  const rows = Array.from({ length: options.batch }, (_, row) => row);
  const alone = await runPass({ ...options, strategy: singleDevice(training.graph) }, rows);
  const rounding = await roundingErrors(options, rows, alone);
  const failures: CheckFailure[] = [];
  let [maxForwardError, maxGradientError] = [0, 0];
  for (let number = 1; number <= strategies; number++) {
    const strategy = randomStrategy(training.graph, cluster, createRandom(deriveSeed(seed, number)));
    try {
      const outcome = await runPass({ ...options, strategy }, rows);
      const errors = errorsOf(outcome, alone);
      maxForwardError = Math.max(maxForwardError, errors.forward);
      maxGradientError = Math.max(maxGradientError, errors.gradient);
      const message = fault(outcome, alone, errors, rounding);
      if (message !== undefined) failures.push({ strategy: number, message });
    } catch (error) {
      failures.push({ strategy: number, message: messageOf(error) });
    }
    options.onChecked?.(number);
  }
  return { strategies, maxForwardError, maxGradientError, rounding, failures };
}

/** What is wrong with an outcome, in a sentence. NaN is wrong too. */
function fault(
  outcome: PassOutcome,
  alone: PassOutcome,
  { forward, gradient, parameter }: Errors,
  { forwardError, gradientError }: CheckResult['rounding'],
): string | undefined {
  const mostForward = Math.max(FORWARD_TOLERANCE, TIMES_ROUNDING * forwardError);
  if (!(forward <= mostForward)) return `the loss is ${outcome.loss}; expected ${alone.loss}`;
  const mostGradient = Math.max(GRADIENT_TOLERANCE, TIMES_ROUNDING * gradientError);
  if (gradient <= mostGradient) return undefined;
  return `the gradient of '${parameter}' is off by ${gradient}; expected at most ${mostGradient}`;
}

async function roundingErrors(
  options: CheckOptions,
  rows: readonly number[],
  alone: PassOutcome,
): Promise<CheckResult['rounding']> {
  let [forwardError, gradientError] = [0, 0];
  for (let pass = 0; pass < ROUNDED_PASSES; pass++) {
    const random = createRandom([options.seed, pass]);
    const weights = new Map([...options.weights].map(([name, values]) => [name, rounded(values, random)]));
    const outcome = await runPass({ ...options, weights, strategy: singleDevice(options.training.graph) }, rows);
    const { forward, gradient } = errorsOf(outcome, alone);
    [forwardError, gradientError] = [Math.max(forwardError, forward), Math.max(gradientError, gradient)];
  }
  return { forwardError, gradientError };
}

/** Values that are off by up to some units in the last place, of 2^-23. */
function rounded(values: Float32Array, random: Random): Float32Array {
  return values.map((value) => value * (1 + ROUNDED_UNITS * 2 ** -23 * (2 * random.next() - 1)));
}

function errorsOf(outcome: PassOutcome, expected: PassOutcome): Errors {
  const forward = Math.abs(outcome.loss - expected.loss) / Math.max(Math.abs(expected.loss), Number.MIN_VALUE);
  const [parameter, gradient] = largestError(outcome.gradients, expected.gradients);
  return { forward, gradient, parameter };
}
