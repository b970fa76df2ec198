import type { Cluster } from '../../soap/cluster/cluster.ts';
import { createRandom, deriveSeed } from '../../soap/random.ts';
import { singleDevice } from '../../soap/strategy/baselines.ts';
import { randomStrategy } from '../../soap/strategy/random.ts';
import type { InMemoryOptions } from '../program/in-memory.ts';
import type { PassOutcome } from './pass-outcome.ts';
import { largestError, runPass } from './pass-outcome.ts';

/**
 * How far a strategy's loss may be from that of one device, relative. Rounding in float32 gives about 1e-6 in the tests'
 * models.
 */
const FORWARD_TOLERANCE = 1e-4;

/**
 * The same of a parameter's gradient, relative in the 2-norm. A wrong split is off by tenths and more. Rounding gives about
 * 1e-6, but more where it puts a value on the other side of a ReLU.
 */
const GRADIENT_TOLERANCE = 1e-2;

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
  readonly failures: readonly CheckFailure[];
}

/** Compares the loss and all gradients under random strategies with those of one device. */
export async function checkStrategies(options: CheckOptions): Promise<CheckResult> {
  const { cluster, training, strategies, seed } = options;
  const { graph } = training;
  const rows = Array.from({ length: options.batch }, (_, row) => row);
  const alone = await runPass({ ...options, strategy: singleDevice(graph) }, rows);
  const failures: CheckFailure[] = [];
  let [maxForwardError, maxGradientError] = [0, 0];
  for (let number = 1; number <= strategies; number++) {
    const strategy = randomStrategy(graph, cluster, createRandom(deriveSeed(seed, number)));
    try {
      const outcome = await runPass({ ...options, strategy }, rows);
      const { forward, gradient, parameter } = errorsOf(outcome, alone);
      [maxForwardError, maxGradientError] = [Math.max(maxForwardError, forward), Math.max(maxGradientError, gradient)];
      // NaN fails too.
      if (!(forward <= FORWARD_TOLERANCE)) {
        failures.push({ strategy: number, message: `the loss is ${outcome.loss}; expected ${alone.loss}` });
      } else if (!(gradient <= GRADIENT_TOLERANCE)) {
        const message = `the gradient of '${parameter}' is off by ${gradient}; expected at most ${GRADIENT_TOLERANCE}`;
        failures.push({ strategy: number, message });
      }
    } catch (error) {
      failures.push({ strategy: number, message: error instanceof Error ? error.message : String(error) });
    }
    options.onChecked?.(number);
  }
  return { strategies, maxForwardError, maxGradientError, failures };
}

function errorsOf(
  outcome: PassOutcome,
  expected: PassOutcome,
): { forward: number; gradient: number; parameter: string } {
  const forward = Math.abs(outcome.loss - expected.loss) / Math.max(Math.abs(expected.loss), Number.MIN_VALUE);
  const [parameter, gradient] = largestError(outcome.gradients, expected.gradients);
  return { forward, gradient, parameter };
}
