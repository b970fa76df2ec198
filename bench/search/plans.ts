import { dataParallel } from '../../soap/baselines/index.ts';
import { createRandom } from '../../soap/random.ts';
import { Chain } from '../../soap/search/chain.ts';
import type { PlanningProblem } from '../../soap/simulator/evaluate.ts';
import { problemOf } from './problem.ts';

/** The paper's six, with its batches per GPU. */
const MODELS = [
  { name: 'alexnet', perGpu: 256, parameters: {} },
  { name: 'inceptionv3', perGpu: 64, parameters: { batchNorm: false } },
  { name: 'resnet101', perGpu: 64, parameters: { batchNorm: false } },
  { name: 'rnntc', perGpu: 64, parameters: {} },
  { name: 'rnnlm', perGpu: 64, parameters: {} },
  { name: 'nmt', perGpu: 64, parameters: { group: 8 } },
] as const;

/** How soon chains come within 1 % of the best plan that any of them found. */
export function plans(seconds: number, models: readonly string[] | undefined, beta: number): void {
  console.log(
    `\ntime to within 1 % of the best known plan, 64 P100s, one chain in one thread, beta ${beta}, ${seconds} s for each run`,
  );
  for (const [name, collectives] of [
    ['all collectives', undefined],
    ['sums at one owner, as in the paper', ['owner']],
  ] as const) {
    const rows: Record<string, object> = {};
    for (const { name: model, perGpu, parameters } of MODELS) {
      if (models?.includes(model) === false) continue;
      const problem: PlanningProblem = {
        ...problemOf(model, 'p100x64', 64 * perGpu, parameters),
        ...(collectives === undefined ? {} : { collectives }),
      };
      const runs = [1, 2].map((seed) => improvements(problem, seed, seconds, beta));
      const best = Math.min(...runs.map((run) => run.at(-1)!.ms));
      rows[model] = {
        ops: problem.training.graph.ops.length,
        'data parallel ms': runs[0]![0]!.ms.toFixed(1),
        'best ms': best.toFixed(1),
        speedup: (runs[0]![0]!.ms / best).toFixed(2),
        ...Object.fromEntries(
          runs.map((run, i) => [
            `seed ${i + 1}: s to 1 %`,
            run.find(({ ms }) => ms <= 1.01 * best)?.seconds.toFixed(1) ?? `not in ${seconds}`,
          ]),
        ),
      };
    }
    console.log(name);
    console.table(rows);
  }
}

/** When a chain from data parallelism found what. */
function improvements(
  problem: PlanningProblem,
  seed: number,
  seconds: number,
  beta: number,
): { seconds: number; ms: number }[] {
  const startMs = performance.now();
  const start = dataParallel(problem.training.graph, problem.cluster);
  const chain = new Chain(problem, start, beta, createRandom(seed));
  const found = [{ seconds: 0, ms: chain.best.energyMs }];
  for (let now = 0; now < seconds; now = (performance.now() - startMs) / 1000) {
    for (let i = 0; i < 8; i++) chain.step();
    if (chain.best.energyMs < found.at(-1)!.ms) found.push({ seconds: now, ms: chain.best.energyMs });
  }
  return found;
}
