import type { PlanningProblem } from '../simulator/evaluate.ts';
import { hostOf } from '../simulator/host/predict.ts';
import { StepSimulation } from '../simulator/delta/step-simulation.ts';
import { dataParallel } from '../baselines/index.ts';
import type { OpConfig, Strategy } from '../strategy/strategy.ts';
import { bytesInWords, timeInWords } from './quantities.ts';
import { configurationInWords } from './words.ts';

/** A device or link whose use would change. */
export interface ChangedLoad {
  readonly name: string;
  readonly busyUs: number;
  readonly wouldBeUs: number;
}

/** What becomes of the step if one op is split by sample as data parallelism would, all others as they are. */
export interface Alternative {
  readonly configuration: string;
  /** Whether it is what the op has already; then all differences are 0. */
  readonly isChosen: boolean;
  /** Null where the strategy cannot be executed, or is too fine to be simulated. */
  readonly iterationUs: number | null;
  readonly differenceUs: number | null;
  readonly transferredBytesDifference: number;
  /** The link, and the device, whose load grows most; null where none does. */
  readonly link: ChangedLoad | null;
  readonly device: ChangedLoad | null;
  /** What devices would need beyond what they have. */
  readonly missingMemoryBytes: number;
  /** What messages would have beyond what one may have. */
  readonly oversizedMessageBytes: number;
  /** Why it loses, or that it does not. */
  readonly reason: string;
}

/** The smallest difference worth a word, of the iteration: rounding is far below. */
const NOTICEABLE = 1e-6;

/** The data-parallel alternative of every op, by op id: each by itself, simulated exactly (delta simulation). */
export function dataParallelAlternatives(problem: PlanningProblem, strategy: Strategy): Alternative[] {
  const { training, cluster, costs } = problem;
  const hint =
    hostOf(cluster, costs) === undefined
      ? 'the plan is not the best, search longer'
      : 'of devices and links alone, which is not all that an iteration takes on this host';
  const simulation = new StepSimulation(problem, strategy);
  const before = { iterationUs: simulation.makespanUs, bytes: simulation.describe().transferredBytes };
  return dataParallel(training.graph, cluster).configs.map((config, op): Alternative => {
    const configuration = configurationInWords(training.graph, training.graph.ops[op]!, config, cluster);
    if (sameConfig(config, strategy.configs[op]!)) {
      return {
        configuration,
        isChosen: true,
        iterationUs: before.iterationUs,
        differenceUs: 0,
        transferredBytesDifference: 0,
        link: null,
        device: null,
        missingMemoryBytes: simulation.missingMemoryBytes,
        oversizedMessageBytes: simulation.oversizedMessageBytes,
        reason: 'is what the plan does',
      };
    }
    const outcome = tryConfig(simulation, problem, op, config, before);
    return { configuration, isChosen: false, ...outcome, reason: reasonOf(outcome, before.iterationUs, hint) };
  });
}

type Outcome = Omit<Alternative, 'configuration' | 'isChosen' | 'reason'>;

function tryConfig(
  simulation: StepSimulation,
  { cluster }: PlanningProblem,
  op: number,
  config: OpConfig,
  before: { readonly iterationUs: number; readonly bytes: number },
): Outcome {
  const loads = simulation.network.loads.us.slice();
  const { makespanUs, missingMemoryBytes, oversizedMessageBytes } = simulation.propose([{ op, config }]);
  const simulated = Number.isFinite(makespanUs);
  const tooFine = makespanUs === Infinity;
  const after = simulation.network.loads.us;
  const names = [...cluster.devices, ...cluster.links].map(({ name }) => name);
  const outcome: Outcome = {
    iterationUs: simulated ? makespanUs : null,
    differenceUs: simulated ? makespanUs - before.iterationUs : null,
    transferredBytesDifference: tooFine ? 0 : simulation.describe().transferredBytes - before.bytes,
    link: tooFine ? null : mostGrown(loads, after, names, cluster.devices.length, names.length),
    device: tooFine ? null : mostGrown(loads, after, names, 0, cluster.devices.length),
    missingMemoryBytes,
    oversizedMessageBytes,
  };
  simulation.reject();
  return outcome;
}

/** Of the resources in a range, the one whose load grows most. */
function mostGrown(
  before: Float64Array,
  after: Float64Array,
  names: readonly string[],
  from: number,
  to: number,
): ChangedLoad | null {
  let most = -1;
  let growthUs = 0;
  for (let i = from; i < to; i++) {
    if (after[i]! - before[i]! <= growthUs + 1e-6) continue;
    [most, growthUs] = [i, after[i]! - before[i]!];
  }
  return most === -1 ? null : { name: names[most]!, busyUs: before[most]!, wouldBeUs: after[most]! };
}

/** @param hint what is said of a faster one */
function reasonOf(outcome: Outcome, iterationUs: number, hint: string): string {
  const { differenceUs, missingMemoryBytes, oversizedMessageBytes, transferredBytesDifference: bytes } = outcome;
  const { link, device } = outcome;
  if (missingMemoryBytes > 0) return `does not fit: devices would lack ${bytesInWords(missingMemoryBytes)} of memory`;
  if (oversizedMessageBytes > 0)
    return `cannot be executed: messages would have ${bytesInWords(oversizedMessageBytes)} more than they may`;
  if (differenceUs === null) return 'is too fine to be simulated';
  const facts = [
    ...(bytes === 0 ? [] : [`moves ${bytesInWords(Math.abs(bytes))} ${bytes > 0 ? 'more' : 'less'}`]),
    ...loadFact(link, 'is busy'),
    ...loadFact(device, 'computes'),
  ];
  const why = facts.length === 0 ? 'the same work, in another order' : facts.join('; ');
  if (Math.abs(differenceUs) <= iterationUs * NOTICEABLE) return `makes no difference: ${why}`;
  if (differenceUs > 0) return `loses ${timeInWords(differenceUs)}: ${why}`;
  // What grows is no reason for what is faster.
  return `would be ${timeInWords(-differenceUs)} faster: ${hint}`;
}

/** A sentence about a load that grows; none where one would read the same time twice. */
function loadFact(load: ChangedLoad | null, verb: string): string[] {
  if (load === null) return [];
  const [now, then] = [timeInWords(load.busyUs), timeInWords(load.wouldBeUs)];
  return now === then ? [] : [`${load.name} ${verb} for ${then} instead of ${now}`];
}

function sameConfig(a: OpConfig, b: OpConfig): boolean {
  return (
    a.degrees.every((degree, i) => degree === b.degrees[i]) && a.devices.every((device, i) => device === b.devices[i])
  );
}
