import { createRandom } from '../../soap/random.ts';
import { dataParallel, modelParallel, singleDevice } from '../../soap/baselines/index.ts';
import { randomStrategy } from '../../soap/strategy/random.ts';
import type { TestRun, TestRunOptions } from './support.ts';
import { testRun } from './support.ts';

/** On how many devices, and by which strategy. */
export type Plan = Pick<TestRunOptions, 'count' | 'strategy'>;
/** Ways to train. */
export const PLANS: Readonly<Record<'one' | 'data2' | 'model2' | 'data4' | 'random4', Plan>> = {
  one: { count: 1, strategy: singleDevice },
  data2: { count: 2, strategy: dataParallel },
  model2: { count: 2, strategy: modelParallel },
  data4: { count: 4, strategy: dataParallel },
  random4: { count: 4, strategy: (graph, cluster) => randomStrategy(graph, cluster, createRandom(11)) },
};

/** The losses of some steps. */
export async function curve(run: TestRun, from: number, to: number): Promise<number[]> {
  const losses: number[] = [];
  for (let step = from; step < to; step++) losses.push(await run.train(step));
  return losses;
}

/** Some steps and a checkpoint after them. */
export async function trained(
  { directory, engine }: Pick<TestRunOptions, 'directory' | 'engine'>,
  plan: Plan,
  step: number,
  rest: Partial<TestRunOptions> = {},
): Promise<TestRun> {
  const run = await testRun({ directory, engine, ...plan, ...rest });
  await run.begin(false);
  await curve(run, 0, step);
  await run.save(step);
  await run.close();
  return run;
}
