import { dataParallel } from '../../soap/baselines/index.ts';
import { DEFAULT_SEARCH } from '../../soap/job/search-defaults.ts';
import { DeltaSimulation } from '../../soap/simulator/delta/delta-simulation.ts';
import { simulate } from '../../soap/simulator/simulate.ts';
import { buildTaskGraph } from '../../soap/tasks/build.ts';
import { problemOf } from './problem.ts';
import { proposalTimes, quantile, timed } from './times.ts';

/** One delta proposal, one full simulation, and the rebuild-everything twin, in turns in one run. */
export function proposals(): void {
  const problem = problemOf('nmt', 'p100x64', 64 * 64, { group: 8 });
  const { training, cluster, costs } = problem;
  const start = dataParallel(training.graph, cluster);
  const walks = [DEFAULT_SEARCH.beta, DEFAULT_SEARCH.beta / 10].map(
    (beta) => [beta, proposalTimes(problem, 4000, beta)] as const,
  );
  const twin = Array.from({ length: 15 }, () => timed(() => simulate(buildTaskGraph(training, start, cluster, costs))));
  const tasks = buildTaskGraph(training, start, cluster, costs);
  const full = Array.from({ length: 30 }, () => timed(() => simulate(tasks)));
  const constructed = Array.from({ length: 10 }, () => timed(() => new DeltaSimulation(problem, start)));
  console.log(`\nNMT in groups of 8 steps, 64 P100s, ${training.graph.ops.length} ops, ${tasks.tasks.length} tasks`);
  for (const [beta, walk] of walks) {
    console.log(`a chain from data parallelism, beta ${beta}`);
    console.table({
      'a delta proposal that changes something': { ...row(walk.all), count: walk.all.length },
      '  turned down before it is simulated': { ...row(walk.bounded), count: walk.bounded.length },
      '  simulated until it must be rejected': { ...row(walk.rejected), count: walk.rejected.length },
      '  accepted': { ...row(walk.accepted), count: walk.accepted.length },
    });
    console.log(`twin / proposal (medians): ${(quantile(twin, 0.5) / quantile(walk.all, 0.5)).toFixed(0)}`);
  }
  console.table({
    'a full simulation': row(full),
    'all states built and simulated': row(constructed),
    'the twin that rebuilds everything': row(twin),
  });
}

function row(ms: readonly number[]): Record<string, string | number> {
  return { 'median ms': quantile(ms, 0.5).toFixed(3), '90 % within': quantile(ms, 0.9).toFixed(3) };
}
