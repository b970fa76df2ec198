import test from 'ava';
import { OpClock } from '../../runtime/program/op-clock.ts';
import { planWork } from '../../runtime/program/planned-work.ts';
import { presetCluster } from '../../soap/cluster/presets.ts';
import { createRooflineCosts } from '../../soap/cost/roofline.ts';
import { attachLoss } from '../../soap/training/loss.ts';
import { builtinGraph } from '../../soap/models/index.ts';
import { findPlan } from '../../soap/search/find-plan.ts';
import { resolvePlan } from '../../soap/plan/resolve-plan.ts';

const cluster = presetCluster('p100x2');
const training = attachLoss(builtinGraph('lenet', 8), 'crossEntropy');
const settings = { seconds: 5, proposals: 1, seed: 1, beta: 20, chains: 1, start: ['data'] } as const;
const { plan } = findPlan({ training, cluster, costs: createRooflineCosts() }, settings, { nowMs: () => 0 });
const { tasks } = planWork(training, resolvePlan(plan, training.graph, 'the plan', cluster).strategy, cluster);
const computeTasks = tasks.tasks.filter(
  (task) => (task.kind === 'forward' || task.kind === 'backward') && task.device === 0,
);

/** Runs all tasks of the device one by one, each as long as its prediction times a factor of its op. */
function run(clock: OpClock, passes: number, factorOf: (op: string) => number): void {
  for (let pass = 0; pass < passes; pass++) {
    for (const task of computeTasks) {
      const { name } = training.graph.ops['op' in task ? task.op : 0]!;
      clock.add([task.id], (task.durationUs / 1e6) * factorOf(name));
    }
    clock.endPass();
  }
}

test('the op that is farthest off is named with its time in an iteration; the first pass does not count', (t) => {
  const name = training.graph.ops[1]!.name;
  const clock = new OpClock(tasks, training.graph, 0, plan.ops);
  run(clock, 1, () => 1000);
  t.is(clock.farthest(), undefined);
  run(clock, 5, (op) => (op === name ? 10 : 1));
  const pace = clock.farthest()!;
  t.is(pace.op, name);
  t.true(Math.abs(pace.predictedSeconds - plan.ops[name]!.computeMs! / 1000) < 1e-9);
  t.true(Math.abs(pace.seconds / pace.predictedSeconds - 10) < 0.01, `${pace.seconds} of ${pace.predictedSeconds}`);
});

test('a kernel of several tasks is dealt out among their ops as they are predicted, by the plan or, in older ones, the simulator', (t) => {
  for (const planned of [plan.ops, {}]) {
    const clock = new OpClock(tasks, training.graph, 0, planned);
    const total = computeTasks.reduce((sum, { durationUs }) => sum + durationUs / 1e6, 0);
    clock.endPass();
    clock.add(
      computeTasks.map(({ id }) => id),
      2 * total,
    );
    clock.endPass();
    const pace = clock.farthest()!;
    t.true(Math.abs(pace.seconds / pace.predictedSeconds - 2) < 0.01);
  }
});
