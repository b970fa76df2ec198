import { originTitle } from '../../soap/plan/origin-title.ts';
import type { Plan, PlanPrediction } from '../../soap/plan/plan.ts';
import { bytes, duration, samplesInWords, table } from './format.ts';
import { oneLine, printable } from './printable.ts';

/** An op that matters, with what it costs in an iteration. */
export interface ReportedOp {
  readonly name: string;
  readonly degrees: Readonly<Record<string, number>>;
  readonly devices: readonly string[];
  readonly computeMs: number;
  readonly communicationMs: number;
}

/** The plan beside its baselines, how it was found, and how it splits the ops that take longest. */
export function planReport(plan: Plan, ops: readonly ReportedOp[]): string {
  const samples = samplesInWords(plan.model.batch, plan.training?.gradientAccumulationSteps);
  return (
    `predicted for one iteration of ${samples}${wireInWords(plan)}:\n${comparison(plan)}` +
    `${leftOutLine(plan)}${costLine(plan)}${searchLine(plan)}${opLines(ops, Object.keys(plan.ops).length)}`
  );
}

function wireInWords({ training }: Plan): string {
  return training?.wire === 'bfloat16' ? ', with bfloat16 between devices' : '';
}

function comparison({ origin, prediction, baselines }: Plan): string {
  const row = (name: string, each: PlanPrediction, speedup: string): string[] => [
    name,
    each.feasible ? duration(each.iterationMs) : 'does not fit',
    each.samplesPerSecond.toFixed(0),
    bytes(each.transferredBytes),
    bytes(each.peakMemoryBytes),
    speedup,
  ];
  return table([
    ['strategy', 'iteration', 'samples/s', 'transferred', 'peak memory', 'plan is faster by'],
    row(origin === 'search' ? 'found plan' : `${originTitle(origin)} (chosen)`, prediction, ''),
    ...Object.entries(baselines).map(([name, each]) => {
      const speedup = `${(each.iterationMs / prediction.iterationMs).toFixed(2)}x`;
      return row(printable(originTitle(name)), each, each.feasible ? speedup : '');
    }),
  ]);
}

/** The usual strategies that no table lacks without a word; OptCNN's is not for every model. */
const USUAL = ['data', 'model', 'expert'];

function leftOutLine({ baselines }: Plan): string {
  const missing = USUAL.filter((name) => !Object.hasOwn(baselines, name));
  if (missing.length === 0) return '';
  const verb = missing.length === 1 ? 'is' : 'are';
  return `${missing.map(originTitle).join(', ')} ${verb} left out: on so many devices, to simulate that takes too much time or memory\n`;
}

/** What the compute time rests on. */
function costLine({ costs }: Plan): string {
  if (costs === undefined) return '';
  if (costs.roofline === 1) return 'compute time: all from data sheets\n';
  const [measured, interpolated, roofline] = [costs.measured, costs.interpolated, costs.roofline].map(
    (share) => `${Math.round(100 * share)}%`,
  );
  return `compute time: ${measured} measured, ${interpolated} interpolated, ${roofline} from data sheets\n`;
}

function searchLine({ search }: Plan): string {
  if (search === undefined) return '';
  const { seed, seconds, proposals, accepted, stoppedBy } = search;
  if (proposals === 0 && stoppedBy === 'budget') {
    return (
      `seed ${seed}; no proposal was tried: the ${duration(1000 * seconds)} of the search were over once its starting points were timed; ` +
      'give it more, by --seconds N or spec.search.seconds of a job\n'
    );
  }
  const reasons: Readonly<Record<string, string>> = {
    budget: 'its time was up',
    proposals: 'its proposals were used up',
    noImprovement: 'nothing better was found for half of its budget',
    interrupted: 'it was interrupted',
  };
  const tried = proposals === 1 ? '1 proposal' : `${proposals} proposals`;
  return `seed ${seed}; ${tried}, ${accepted} accepted; stopped because ${reasons[stoppedBy] ?? oneLine(stoppedBy)}\n`;
}

function opLines(ops: readonly ReportedOp[], count: number): string {
  const rows = ops.map(({ name, degrees, devices, computeMs, communicationMs }) => [
    printable(name),
    splitInWords(degrees),
    shortList([...new Set(devices)].map(printable)),
    duration(computeMs),
    communicationMs > 0 ? duration(communicationMs) : '-',
  ]);
  const title = ops.length < count ? `the ${ops.length} of ${count} ops that take longest` : 'the ops, longest first';
  return `${title}:\n${table([['op', 'split', 'on', 'compute', 'communication'], ...rows], 3)}`;
}

/** Such as `sample in 4, channel in 2`. */
function splitInWords(degrees: Readonly<Record<string, number>>): string {
  const split = Object.entries(degrees).map(([dimension, degree]) => `${dimension} in ${degree}`);
  return split.length === 0 ? 'whole' : split.join(', ');
}

function shortList(names: readonly string[]): string {
  return names.length <= 2 ? names.join(', ') : `${names[0]}, ${names[1]} and ${names.length - 2} more`;
}
