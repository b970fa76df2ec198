import type { PlanningProblem } from '../../soap/simulator/evaluate.ts';
import { search } from '../../soap/search/search.ts';
import type { PaperCluster, Rates } from './figures.ts';
import { PAPER_MODELS } from './figures.ts';
import type { Wires } from './problem.ts';
import { paperProblem } from './problem.ts';
import { DEFAULT_SEARCH } from '../../soap/job/search-defaults.ts';

const SEED = 1;

/** A cell of the table to fill. */
export interface CellRequest {
  /** The paper's name of the model. */
  readonly model: string;
  readonly cluster: PaperCluster;
  readonly gpus: number;
  readonly wires: Wires;
  /** Search time. */
  readonly seconds: number;
  /** Proposals, in place of time: the result then does not depend on the machine. */
  readonly proposals?: number | undefined;
}

/** A filled cell. */
export interface Cell {
  readonly rates: Rates;
  readonly proposals: number;
}

/** Simulates data parallelism and the expert's strategy, and searches from both. */
export function fillCell({ model, cluster, gpus, wires, seconds, proposals }: CellRequest): Cell {
  const problem: PlanningProblem = paperProblem(
    PAPER_MODELS.find(({ name }) => name === model)!,
    cluster,
    gpus,
    wires,
  );
  const settings = {
    seconds,
    ...(proposals === undefined ? {} : { proposals }),
    seed: SEED,
    beta: DEFAULT_SEARCH.beta,
    chains: 2,
    start: ['data', 'expert'],
  } as const;
  const { best, baselines, statistics } = search(problem, settings, { nowMs: () => performance.now() });
  const rate = (samplesPerSecond = Number.NaN): number => samplesPerSecond / gpus;
  return {
    rates: {
      data: rate(baselines['data']?.samplesPerSecond),
      expert: rate(baselines['expert']?.samplesPerSecond),
      found: rate(best.prediction.samplesPerSecond),
    },
    proposals: statistics.proposals,
  };
}
