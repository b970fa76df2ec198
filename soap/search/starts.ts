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
 * the best one gives way to it.
 */
export function chainStarts(problem: PlanningProblem, settings: SearchSettings, baselines: Baselines): ChainStart[] {
  const { chains, start, seed, proposals } = settings;
  return Array.from({ length: chains }, (_, i): ChainStart => {
    const from = start[i % start.length]!;
    const known = from === 'random' ? undefined : promising(problem, baselines[from], Object.values(baselines));
    return {
      strategy: known?.strategy ?? drawStrategy(problem, deriveSeed(seed, chains + i)),
      seed: deriveSeed(seed, i),
      proposals: proposals === undefined ? undefined : Math.floor((proposals + chains - 1 - i) / chains),
    };
  });
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
