import type { SearchSettings } from '../job/training-job.ts';
import { createRandom, deriveSeed } from '../random.ts';
import { dataParallel, expertStrategy, modelParallel } from '../baselines/index.ts';
import type { Strategy } from '../strategy/strategy.ts';
import { energyOf } from './energy.ts';
import type { Candidate, PlanningProblem, Prediction } from '../simulator/evaluate.ts';
import { evaluate, excessOf } from '../simulator/evaluate.ts';
import { optcnnStrategy } from './optcnn.ts';
import { hostOf } from '../simulator/host/predict.ts';
import { smallCaseOptimum } from './optimum/small-case.ts';
import { drawConfig } from './prior.ts';
import { opDimensions } from '../ops/index.ts';
import type { ChainStart } from './run-chains.ts';

/**
 * The strategies that every search is measured against. One that is too fine to be simulated is left out; OptCNN's where the
 * model does not reduce, or not fast enough; and `exact`, the proven optimum of a small case, where the case is not small,
 * another baseline is as fast, or the devices share a host that was measured: what is proven there is not what is predicted.
 */
export type Baselines = Readonly<Partial<Record<'data' | 'model' | 'expert' | 'optcnn' | 'exact', Candidate>>>;

/** Simulates the baselines of a problem. */
export function baselinesOf(problem: PlanningProblem): Baselines {
  const { training, cluster } = problem;
  const strategies = {
    data: dataParallel(training.graph, cluster),
    model: modelParallel(training.graph, cluster),
    expert: expertStrategy(training.graph, cluster, problem.optimizer),
    optcnn: optcnnStrategy(problem),
  };
  const candidates = Object.entries(strategies).flatMap(([name, strategy]) => {
    const prediction = strategy === undefined ? undefined : evaluateOrLeave(problem, strategy);
    return strategy === undefined || prediction === undefined ? [] : [[name, { strategy, prediction }] as const];
  });
  const feasible = candidates.filter(([, { prediction }]) => prediction.feasible);
  const bestMs = Math.min(...feasible.map(([, { prediction }]) => prediction.iterationMs));
  const exact = hostOf(cluster, problem.costs) === undefined ? smallCaseOptimum(problem, bestMs) : undefined;
  return { ...Object.fromEntries(candidates), ...(exact === undefined ? {} : { exact }) };
}

function evaluateOrLeave(problem: PlanningProblem, strategy: Strategy): Prediction | undefined {
  try {
    return evaluate(problem, strategy);
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

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
  const energy = ({ prediction }: Candidate): number =>
    energyOf(cluster, { ...excessOf(prediction), makespanUs: prediction.iterationMs * 1000 });
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
