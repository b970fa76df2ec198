import process from 'node:process';
import { expertStrategy } from '../../soap/baselines/index.ts';
import { DEFAULT_SEARCH } from '../../soap/job/search-defaults.ts';
import { createRandom } from '../../soap/random.ts';
import { Chain } from '../../soap/search/chain.ts';
import type { PlanningProblem } from '../../soap/simulator/evaluate.ts';
import { problemOf } from './problem.ts';

const GPT_SECONDS = 110;

/** GPT-3's layers on 1,024 H100s: the expert's strategy, and what a chain makes of it in two minutes. */
export function gpt(): void {
  const startMs = performance.now();
  const seconds = (): string => ((performance.now() - startMs) / 1000).toFixed(1);
  const parameters = { layers: 96, width: 12_288, heads: 96, sequence: 2048, vocabulary: 51_200 };
  const problem: PlanningProblem = { ...problemOf('gpt', 'h100x1024', 64, parameters), optimizer: 'adam' };
  const { graph } = problem.training;
  const chain = new Chain(
    problem,
    expertStrategy(graph, problem.cluster, 'adam'),
    DEFAULT_SEARCH.beta,
    createRandom(1),
  );
  const rows: object[] = [];
  const note = (what: string): void => {
    const feasible = chain.best.energyMs < 1e8;
    rows.push({
      what,
      'after s': seconds(),
      'iteration s': feasible ? (chain.best.energyMs / 1000).toFixed(2) : 'does not fit',
      proposals: chain.proposals,
      'resident MB': (process.memoryUsage().rss / 1e6).toFixed(0),
    });
  };
  note("the expert's strategy, simulated");
  while (Number(seconds()) < GPT_SECONDS) {
    const before = chain.best;
    chain.step();
    if (chain.best.energyMs < 0.98 * before.energyMs) note('found');
  }
  note('at the end');
  console.log(
    `\nGPT, ${graph.ops.length} ops, 96 layers of width 12,288, 64 sequences of 2,048, 1,024 H100s, one thread`,
  );
  console.table(rows);
}
