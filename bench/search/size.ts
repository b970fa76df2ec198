/** What planning takes on a cluster of some size, as JSON: `node bench/search/size.ts GPUS BETA`. */
import process from 'node:process';
import { dataParallel } from '../../soap/baselines/index.ts';
import { simulate } from '../../soap/simulator/simulate.ts';
import { buildTaskGraph } from '../../soap/tasks/build.ts';
import { problemOf } from './problem.ts';
import { proposalTimes, quantile, timed } from './times.ts';

/** What planning takes on a cluster of some size. */
export interface Size {
  readonly gpus: number;
  readonly tasks: number;
  readonly medianMs: number;
  readonly meanMs: number;
  readonly fullMs: number;
  readonly residentMB: number;
}

/** Proposals of a chain from data parallelism, and one full simulation of data parallelism. */
function sizeOf(gpus: number, beta: number): Size {
  const problem = problemOf('nmt', `p100x${gpus}`, 64 * gpus, { group: 8 });
  const { all } = proposalTimes(problem, gpus > 64 ? 12_800 / gpus : 2000, beta);
  const { training, cluster, costs } = problem;
  const tasks = buildTaskGraph(training, dataParallel(training.graph, cluster), cluster, costs);
  const residentMB = Math.round(process.memoryUsage().rss / 1e6);
  return {
    gpus,
    tasks: tasks.tasks.length,
    medianMs: rounded(quantile(all, 0.5)),
    meanMs: rounded(all.reduce((a, b) => a + b, 0) / all.length),
    fullMs: rounded(
      quantile(
        Array.from({ length: 5 }, () => timed(() => simulate(tasks))),
        0.5,
      ),
    ),
    residentMB,
  };
}

function rounded(value: number): number {
  return Number(value.toPrecision(3));
}

const [gpus, beta] = process.argv.slice(2).map(Number);
if (gpus === undefined || beta === undefined) throw new Error('expected: node bench/search/size.ts GPUS BETA');
console.log(JSON.stringify(sizeOf(gpus, beta)));
