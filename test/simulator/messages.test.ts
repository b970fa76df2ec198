import test from 'ava';
import * as fc from 'fast-check';
import { planWork } from '../../runtime/program/planned-work.ts';
import { presetCluster } from '../../soap/cluster/presets.ts';
import { createCluster } from '../../soap/cluster/topology.ts';
import { createRooflineCosts } from '../../soap/cost/roofline.ts';
import { attachLoss } from '../../soap/training/loss.ts';
import type { WireType } from '../../soap/job/training-job.ts';
import { builtinGraph } from '../../soap/models/index.ts';
import { createRandom } from '../../soap/random.ts';
import { evaluate } from '../../soap/simulator/evaluate.ts';
import { search } from '../../soap/search/search.ts';
import { StepSimulation } from '../../soap/simulator/delta/step-simulation.ts';
import { messageProblem } from '../../soap/simulator/message-report.ts';
import { dataParallel, singleDevice } from '../../soap/baselines/index.ts';
import { randomConfig, randomStrategy } from '../../soap/strategy/random.ts';
import type { Strategy } from '../../soap/strategy/strategy.ts';
import { buildTaskGraph } from '../../soap/tasks/build.ts';
import { MAX_MESSAGE_BYTES, oversizedMessageBytes } from '../../soap/tasks/message-limit.ts';

const costs = createRooflineCosts();

/** Of so many samples that what the first convolution computes has 20 GB. */
const training = attachLoss(builtinGraph('lenet', 2 ** 20), 'crossEntropy');
const { graph } = training;

/** With memory for anything. */
const { description } = presetCluster('p100x4');
const devices = description.devices.map((device) => ({ ...device, memoryBytes: 1e13 }));
const cluster = createCluster({ ...description, devices });

/** Everything on one device, but for an op on the next. */
function withElsewhere(op: string): Strategy {
  const configs = singleDevice(graph).configs.map((config, id) =>
    graph.ops[id]!.name === op ? { ...config, devices: [1] } : config,
  );
  return { configs };
}

for (const wire of ['float32', 'bfloat16'] as const satisfies WireType[]) {
  test(`bytes that messages have too many are those of the task graph built anew, whatever moves: ${wire}`, (t) => {
    const problem = { training, cluster, costs, wire };
    const anew = (strategy: Strategy): number =>
      oversizedMessageBytes(buildTaskGraph(training, strategy, cluster, costs, problem));
    let oversized = 0;
    fc.assert(
      fc.property(fc.nat(), (seed) => {
        const random = createRandom(seed);
        const simulation = new StepSimulation(problem, randomStrategy(graph, cluster, random));
        t.is(simulation.oversizedMessageBytes, anew(simulation.strategy));
        for (let move = 0; move < 12; move++) {
          const op = random.integer(graph.ops.length);
          const before = simulation.strategy;
          const config =
            random.next() < 0.3
              ? singleDevice(graph).configs[op]!
              : randomConfig(graph, graph.ops[op]!, cluster, random);
          const outcome = simulation.propose([{ op, config }]);
          const configs = before.configs.map((each, id) => (id === op ? config : each));
          t.is(outcome.oversizedMessageBytes, anew({ configs }));
          t.is(Number.isNaN(outcome.makespanUs), outcome.oversizedMessageBytes > 0, 'what cannot run is not timed');
          oversized += Math.sign(outcome.oversizedMessageBytes);
          if (random.next() < 0.5) simulation.accept();
          else simulation.reject();
          t.is(simulation.oversizedMessageBytes, anew(simulation.strategy));
        }
      }),
      { numRuns: 20 },
    );
    t.true(oversized > 10, 'some messages were too large');
  });
}

test('a strategy with a message that is too large is infeasible, and is refused with what it is and what to do', (t) => {
  const problem = { training, cluster, costs };
  const [second] = graph.ops.filter(({ inputs }) => inputs.includes(graph.ops[0]!.outputs[0]!));
  const strategy = withElsewhere(second!.name);
  const { feasible, missingMemoryBytes, oversizedMessageBytes: bytes = 0 } = evaluate(problem, strategy);
  t.deepEqual([feasible, missingMemoryBytes], [false, 0]);
  const values = graph.tensors[graph.ops[0]!.outputs[0]!]!.shape.reduce((a, b) => a * b, 4);
  t.true(values > MAX_MESSAGE_BYTES);
  t.is(bytes % (values - MAX_MESSAGE_BYTES), 0);
  const sentence = messageProblem(problem, strategy) ?? '';
  t.regex(
    sentence,
    new RegExp(
      `^a message between devices has ${values} bytes, of '.*' from '${graph.ops[0]!.name}' to '${second!.name}'; expected at most ${MAX_MESSAGE_BYTES}: cut `,
    ),
  );
  t.throws(() => planWork(training, strategy, cluster), { message: sentence });
  const parallel = dataParallel(graph, cluster);
  t.is(messageProblem(problem, parallel), undefined);
  t.like(evaluate(problem, parallel), { feasible: true, missingMemoryBytes: 0 });
  t.false('oversizedMessageBytes' in evaluate(problem, parallel));
});

test('a search that starts where messages are too large finds what can be executed', (t) => {
  const settings = { seconds: 60, proposals: 300, seed: 3, beta: 20, chains: 2, start: ['random'] } as const;
  const { best } = search(
    { training, cluster, costs },
    { ...settings, start: [...settings.start] },
    { nowMs: () => 0 },
  );
  t.true(best.prediction.feasible);
  t.is(oversizedMessageBytes(buildTaskGraph(training, best.strategy, cluster, costs)), 0);
});
