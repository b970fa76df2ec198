import test from 'ava';
import { presetCluster } from '../../soap/cluster/presets.ts';
import { createRooflineCosts } from '../../soap/cost/roofline.ts';
import type { Graph } from '../../soap/graph/graph.ts';
import { attachLoss } from '../../soap/graph/loss.ts';
import { builtinGraph } from '../../soap/models/index.ts';
import { createRandom } from '../../soap/random.ts';
import { FileError } from '../../soap/schema/check.ts';
import { evaluate } from '../../soap/search/evaluate.ts';
import { expertStrategy } from '../../soap/strategy/baselines.ts';
import { graphFingerprint } from '../../soap/strategy/fingerprint.ts';
import type { Plan } from '../../soap/strategy/plan-file.ts';
import { createPlan, decodePlan, encodePlan, resolvePlan } from '../../soap/strategy/plan-file.ts';
import { randomStrategy } from '../../soap/strategy/random.ts';

const cluster = presetCluster('p100x4');
const trainingOf = (name: string, batch: number) => attachLoss(builtinGraph(name, batch), 'crossEntropy');
const training = trainingOf('lenet', 8);

function planOf(strategy = expertStrategy(training.graph, cluster)): Plan {
  const prediction = evaluate({ training, cluster, costs: createRooflineCosts() }, strategy);
  return createPlan(training.graph, cluster, strategy, 8, {
    prediction,
    baselines: { expert: prediction },
    origin: 'search',
    search: {
      seed: 1,
      seconds: 2,
      beta: 20,
      chains: 2,
      start: ['data'],
      proposals: 3,
      accepted: 1,
      stoppedBy: 'budget',
    },
  });
}

const problemsOf = (read: () => unknown): string[] => {
  try {
    read();
  } catch (error) {
    if (error instanceof FileError) return error.problems.map(({ path, message }) => `${path}: ${message}`);
    throw error;
  }
  return [];
};

/** Decodes the plan's text after a change. */
const decodeChanged = (change: (value: Record<string, any>) => void): Plan => {
  const value = JSON.parse(encodePlan(planOf()));
  change(value);
  return decodePlan(JSON.stringify(value));
};

test('a plan file read back is the same plan and gives the same strategy and cluster', (t) => {
  for (const seed of [1, 2, 3, 4, 5]) {
    const strategy = randomStrategy(training.graph, cluster, createRandom(seed));
    const plan = planOf(strategy);
    const decoded = decodePlan(encodePlan(plan));
    t.deepEqual(decoded, plan);
    const resolved = resolvePlan(decoded, training.graph);
    t.deepEqual(resolved.strategy, strategy);
    t.deepEqual(resolved.cluster.devices, cluster.devices);
    t.deepEqual(resolved.cluster.links, cluster.links);
  }
});

test('a resolved plan is predicted as it says', (t) => {
  const plan = decodePlan(encodePlan(planOf()));
  const resolved = resolvePlan(plan, training.graph);
  const problem = { training, cluster: resolved.cluster, costs: createRooflineCosts() };
  t.deepEqual(evaluate(problem, resolved.strategy), plan.prediction);
});

test('an op says its cuts by dimension and its devices by name', (t) => {
  t.deepEqual(planOf().ops['fc3'], { degrees: { channel: 2 }, devices: ['node0/gpu0', 'node0/gpu1'] });
});

test('all problems of a plan file are listed with their paths', (t) => {
  const problems = problemsOf(() =>
    decodeChanged((plan) => {
      plan['surprise'] = 1;
      delete plan['origin'];
      plan['prediction'].iterationMs = 'fast';
      plan['ops'].fc3.degrees.channel = 0;
      plan['cluster'].devices[0].flopsPerSec = -1;
      plan['search'].seed = null;
    }),
  );
  t.deepEqual(problems.map((problem) => problem.split(': ')[0]).sort(), [
    'cluster.devices[0].flopsPerSec',
    'ops.fc3.degrees.channel',
    'origin',
    'prediction.iterationMs',
    'search.seed',
    'surprise',
  ]);
});

test('text that is no plan is refused with a sentence', (t) => {
  for (const text of ['', '{', 'null', '[]', '3', '{}', '{"version":2}', '{"version":1}']) {
    t.true(problemsOf(() => decodePlan(text)).length > 0, text);
  }
  t.regex(problemsOf(() => decodePlan('{"version":2}'))[0]!, /^version: is 2; expected 1: search again/);
});

test('a plan for another model is refused with the difference', (t) => {
  const plan = planOf();
  const refused = (graph: Graph): string => t.throws(() => resolvePlan(plan, graph, 'plan.json'))!.message;
  t.regex(
    refused(trainingOf('alexnet', 8).graph),
    /plan\.json is for another model: it has 2 problems:\n {2}ops: lacks conv3/,
  );
  t.regex(
    refused(trainingOf('lenet', 16).graph),
    /batch 8\); expected [0-9a-f]{16} of 'lenet': shapes, attributes or the batch/,
  );
});

test('a plan for another cluster is refused with the difference', (t) => {
  const plan = planOf();
  const on = (name: string): string[] =>
    problemsOf(() => resolvePlan(plan, training.graph, 'plan.json', presetCluster(name)));
  t.deepEqual(on('p100x4'), []);
  t.is(
    on('p100x2')[0],
    "cluster.devices: has node0/gpu2 (P100), node0/gpu3 (P100), which cluster 'p100x2' has not: search again for it",
  );
  t.regex(on('p100x8')[0]!, /^cluster\.devices: lacks node1\/gpu0 \(P100\), .* of cluster 'p100x8'/);
  t.regex(on('v100x4')[0]!, /^cluster\.devices: lacks node0\/gpu0 \(V100\)/);
});

test('a plan runs on the same cluster measured anew, with the new numbers', (t) => {
  const devices = cluster.description.devices.map((device) => ({ ...device, flopsPerSec: 1e12 }));
  const measured = presetCluster('p100x4');
  const target = { ...measured, description: { ...measured.description, devices } };
  t.is(resolvePlan(planOf(), training.graph, 'plan.json', target).cluster, target);
});

test('unknown dimensions, unknown devices and wrong splits are refused, all at once', (t) => {
  const resolved = (change: (value: Record<string, any>) => void) =>
    problemsOf(() => resolvePlan(decodeChanged(change), training.graph));
  t.deepEqual(
    resolved(({ ops }) => {
      ops.fc1.degrees = { depth: 4 };
      ops.fc2.devices = ['node0/gpu0', 'mars'];
    }),
    [
      "ops.fc1.degrees: has 'depth'; expected sample, channel",
      'ops.fc2.devices: has mars, which the cluster has not; expected names of its devices',
    ],
  );
  t.deepEqual(
    resolved(({ ops }) => {
      ops.fc3.degrees = { channel: 3 };
    }),
    [
      "ops: op 'fc3': degree 3 of 'channel'; expected a divisor of 10",
      "ops: op 'fc3': 2 devices; expected 3, one for each part",
    ],
  );
});

test('a plan whose cluster falls apart is refused', (t) => {
  const problems = problemsOf(() => {
    const plan = decodeChanged(({ cluster }) => {
      cluster.connections = [];
    });
    return resolvePlan(plan, training.graph);
  });
  t.regex(problems[0]!, /^cluster\.devices\[0\]: 'node0\/gpu0' has no way to 'node0\/gpu1'/);
});

test('the fingerprint sees shapes, attributes and wiring, and nothing else', (t) => {
  const { graph } = training;
  const [first, ...others] = graph.ops;
  const changed = (ops: Graph['ops']): string => graphFingerprint({ ...graph, ops });
  t.is(graphFingerprint(trainingOf('lenet', 8).graph), graphFingerprint(graph));
  t.is(graphFingerprint({ ...graph, name: 'other' }), graphFingerprint(graph));
  t.not(graphFingerprint(trainingOf('lenet', 9).graph), graphFingerprint(graph));
  t.not(changed([{ ...first!, attributes: { ...first!.attributes, groups: 2 } }, ...others]), graphFingerprint(graph));
  // relu3 and relu4 work on tensors of other ops with equal shapes where a graph has them; ids tell them apart.
  t.not(changed([{ ...first!, inputs: [...first!.inputs].reverse() }, ...others]), graphFingerprint(graph));
  t.regex(graphFingerprint(graph), /^[0-9a-f]{16}$/);
});
