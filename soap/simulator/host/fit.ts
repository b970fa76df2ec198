import type { HostCosts } from '../../cost/cost-table.ts';
import { solveLinear } from './least-squares.ts';

/** A number of the host's costs that is fitted. */
type FittedCost = Exclude<keyof HostCosts, 'cores' | 'startUs'>;

/** All numbers of the host's costs that are fitted. */
export const FITTED: readonly FittedCost[] = [
  'kernelUs',
  'updateUs',
  'handUs',
  'taskShare',
  'updateShare',
  'sendUs',
  'messageUs',
  'receiveUs',
  'messageUsPerMiB',
  'receiveUsPerMiB',
  'wakeUs',
  'copyUsPerMiB',
  'sumUsPerMiB',
  'longSumUsPerMiB',
  'copyUsPerRun',
  'stepUs',
  'rowUs',
  'readUsPerMiB',
  'sliceUs',
  'switchUs',
  'crowding',
];

/** What a fit starts from, and how much it trusts that. */
export interface Prior {
  readonly costs: HostCosts;
  /** By number, how far off the prior is thought to be: a standard deviation of its logarithm. */
  readonly sigma: Readonly<Record<FittedCost, number>>;
}

/** An iteration that was measured, as a function of the costs. */
export interface FitSample {
  readonly measuredUs: number;
  predictUs(costs: HostCosts): number;
}

/** How far off the predictions of iterations are thought to be: a standard deviation of their logarithms. */
const SAMPLE_SIGMA = 0.05;

const STEP = 0.02;
const MAX_ROUNDS = 30;
/** A round that gains less, of the sum of squares, is the last. */
const LEAST_GAIN = 1e-4;

/**
 * Fits the host's costs to measured iterations by least squares of logarithms, damped (Levenberg and Marquardt), each number
 * held to its prior as much as that is trusted. All numbers stay positive.
 */
export function fitHostCosts(samples: readonly FitSample[], { costs, sigma }: Prior): HostCosts {
  const names = FITTED.filter((name) => (costs[name] ?? 0) > 0);
  const prior = names.map((name) => Math.log(costs[name]!));
  const costsAt = (logs: readonly number[]): HostCosts => ({
    ...costs,
    ...Object.fromEntries(names.map((name, i) => [name, Math.exp(logs[i]!)])),
  });
  const residuals = (logs: readonly number[]): number[] => {
    const at = costsAt(logs);
    return [
      ...samples.map((sample) => robust(Math.log(sample.predictUs(at) / sample.measuredUs) / SAMPLE_SIGMA)),
      ...logs.map((log, i) => (log - prior[i]!) / sigma[names[i]!]),
    ];
  };
  let logs: readonly number[] = prior;
  let current: readonly number[] = residuals(logs);
  let damping = 1e-2;
  for (let round = 0; round < MAX_ROUNDS; round++) {
    const before = squares(current);
    const jacobian = names.map((_, i) => {
      const moved = residuals(logs.map((log, k) => (k === i ? log + STEP : log)));
      return moved.map((value, k) => (value - current[k]!) / STEP);
    });
    const next = improve(jacobian, current, logs, damping, residuals);
    damping = next.damping;
    if (next.residuals === undefined) break;
    [logs, current] = [next.logs, next.residuals];
    if (before - squares(current) < LEAST_GAIN * before) break;
  }
  return costsAt(logs);
}

interface Improvement {
  readonly logs: readonly number[];
  /** Undefined where no step improves. */
  readonly residuals: readonly number[] | undefined;
  readonly damping: number;
}

/** Takes the longest damped step that improves. */
function improve(
  jacobian: readonly (readonly number[])[],
  current: readonly number[],
  logs: readonly number[],
  damping: number,
  residuals: (logs: readonly number[]) => number[],
): Improvement {
  const dot = (a: readonly number[], b: readonly number[]): number => a.reduce((sum, x, i) => sum + x * b[i]!, 0);
  const gradient = jacobian.map((column) => -dot(column, current));
  const normal = jacobian.map((a) => jacobian.map((b) => dot(a, b)));
  for (let lambda = damping; lambda < 1e6; lambda *= 4) {
    const damped = normal.map((row, i) => row.map((value, k) => (i === k ? value * (1 + lambda) + 1e-9 : value)));
    const step = solveLinear(damped, gradient);
    const moved = logs.map((log, i) => log + Math.max(-1, Math.min(1, step[i]!)));
    const after = residuals(moved);
    if (squares(after) < squares(current)) return { logs: moved, residuals: after, damping: lambda / 4 };
  }
  return { logs, residuals: undefined, damping };
}

/** Outliers count less than squares would have them: Huber's loss, as a residual. */
function robust(residual: number): number {
  const size = Math.abs(residual);
  return size <= 2 ? residual : Math.sign(residual) * Math.sqrt(4 * size - 4);
}

function squares(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value * value, 0);
}
