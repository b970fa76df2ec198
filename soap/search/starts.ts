import type { SearchSettings } from '../job/training-job.ts';
import { createRandom, deriveSeed } from '../random.ts';
import type { Strategy } from '../strategy/strategy.ts';
import type { Baselines } from './baselines.ts';
import type { Candidate, PlanningProblem } from '../simulator/evaluate.ts';
import { predictedEnergyOf } from '../simulator/evaluate.ts';
import { drawConfig } from './prior.ts';
import { opDimensions } from '../ops/index.ts';
import type { ChainStart } from './run-chains.ts';

/** How many times slower than the best baseline a start may be; a chain would spend its time on coming down to it. */
const SLOWEST_START = 2;

/**
 * As many chains as asked, whose starts take turns; the proposals are dealt out evenly. A baseline that is far slower than
 * the best one gives way to it. Of several chains, the one whose baseline is slowest begins with data parallelism on fewer devices,
 * where that is faster than all baselines: no other comes to what is near it, nor does it to what is near them.
 */
export function chainStarts(problem: PlanningProblem, settings: SearchSettings, baselines: Baselines): ChainStart[] {
  const { chains, start, seed, proposals } = settings;
  const names = Array.from({ length: chains }, (_, i) => start[i % start.length]!);
  const givesWay = chains > 1 && baselines.fewer !== undefined ? slowestOf(problem, names, baselines) : undefined;
  return names.map((from, i): ChainStart => {
    const baseline = from === 'random' ? undefined : i === givesWay ? baselines.fewer : baselines[from];
    const known = from === 'random' ? undefined : promising(problem, baseline, Object.values(baselines));
    return {
      strategy: known?.strategy ?? drawStrategy(problem, deriveSeed(seed, chains + i)),
      seed: deriveSeed(seed, i),
      proposals: proposals === undefined ? undefined : Math.floor((proposals + chains - 1 - i) / chains),
    };
  });
}

/** Which start is the slowest baseline, or one that was left out; undefined where all are random. */
function slowestOf(
  { cluster }: PlanningProblem,
  names: SearchSettings['start'],
  baselines: Baselines,
): number | undefined {
  const energies = names.map((from) => {
    if (from === 'random') return -Infinity;
    const candidate = baselines[from];
    return candidate === undefined ? Infinity : predictedEnergyOf(cluster, candidate.prediction);
  });
  const slowest = Math.max(...energies);
  return slowest === -Infinity ? undefined : energies.indexOf(slowest);
}

function promising(
  { cluster }: PlanningProblem,
  start: Candidate | undefined,
  baselines: readonly Candidate[],
): Candidate | undefined {
  const energy = ({ prediction }: Candidate): number => predictedEnergyOf(cluster, prediction);
  const [first, ...others] = baselines;
  const best = first && others.reduce((a, b) => (energy(b) < energy(a) ? b : a), first);
  if (start === undefined || best === undefined) return start ?? best;
  return energy(start) > SLOWEST_START * energy(best) ? best : start;
}

function drawStrategy({ training: { graph }, cluster }: PlanningProblem, seed: number): Strategy {
  const random = createRandom(seed);
  return {
    configs: graph.ops.map((op) => drawConfig(opDimensions(graph, op), cluster.devices.length, random)),
  };
}
