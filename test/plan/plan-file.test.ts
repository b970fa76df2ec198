import { readFile } from 'node:fs/promises';
import test from 'ava';
import { presetCluster } from '../../soap/cluster/presets.ts';
import { createRooflineCosts } from '../../soap/cost/roofline.ts';
import { freeze } from '../../soap/graph/freeze.ts';
import { GraphBuilder } from '../../soap/training/builder.ts';
import type { Graph } from '../../soap/graph/graph.ts';
import { attachLoss } from '../../soap/training/loss.ts';
import { builtinGraph } from '../../soap/models/index.ts';
import { createRandom } from '../../soap/random.ts';
import { FileError } from '../../soap/schema/check.ts';
import { evaluate } from '../../soap/simulator/evaluate.ts';
import { expertStrategy } from '../../soap/baselines/index.ts';
import { graphFingerprint } from '../../soap/graph/fingerprint.ts';
import type { Plan } from '../../soap/plan/plan.ts';
import { createPlan } from '../../soap/plan/create-plan.ts';
import { decodePlan, encodePlan } from '../../soap/plan/plan-file.ts';
import { resolvePlan } from '../../soap/plan/resolve-plan.ts';
import { randomStrategy } from '../../soap/strategy/random.ts';

const cluster = presetCluster('p100x4');
const trainingOf = (name: string, batch: number) => attachLoss(builtinGraph(name, batch), 'crossEntropy');
const training = trainingOf('lenet', 8);

function planOf(strategy = expertStrategy(training.graph, cluster)): Plan {
  const prediction = evaluate({ training, cluster, costs: createRooflineCosts() }, strategy);
  return createPlan({ training, cluster, source: { builtin: { name: 'lenet' } } }, strategy, {
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

/** Decodes the plan's text with some values replaced; keys are paths, and undefined removes. */
function decodeWith(changes: Readonly<Record<string, unknown>>): Plan {
  let value: unknown = JSON.parse(encodePlan(planOf()));
  for (const [path, to] of Object.entries(changes)) value = withValue(value, path.split('.'), to);
  return decodePlan(JSON.stringify(value));
}

function withValue(value: unknown, [key, ...rest]: readonly string[], to: unknown): unknown {
  if (key === undefined) return to;
  if (Array.isArray(value)) return value.map((item, i) => (String(i) === key ? withValue(item, rest, to) : item));
  const fields = new Map(Object.entries(value ?? {}));
  return Object.fromEntries(fields.set(key, withValue(fields.get(key), rest, to)));
}

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
  // Memory is counted in another way since.
  const { peakMemoryBytes: _now, ...now } = evaluate(problem, resolved.strategy);
  const { peakMemoryBytes: _then, ...then } = plan.prediction;
  t.deepEqual(now, then);
});

test('an op says its cuts by dimension and its devices by name', (t) => {
  t.deepEqual(planOf().ops['fc3'], {
    kind: 'linear',
    shape: [8, 10],
    degrees: { channel: 2 },
    devices: ['node0/gpu0', 'node0/gpu1'],
  });
});

test('all problems of a plan file are listed with their paths', (t) => {
  const problems = problemsOf(() =>
    decodeWith({
      surprise: 1,
      origin: undefined,
      'prediction.iterationMs': 'fast',
      'ops.fc3.degrees.channel': 0,
      'cluster.devices.0.flopsPerSec': -1,
      'search.seed': null,
    }),
  );
  t.deepEqual(
    problems.map((problem) => problem.split(': ')[0]!).toSorted((a, b) => a.localeCompare(b)),
    [
      'cluster.devices[0].flopsPerSec',
      'ops.fc3.degrees.channel',
      'origin',
      'prediction.iterationMs',
      'search.seed',
      'surprise',
    ],
  );
  t.is(problems.length, 6);
});

test('text that is no plan is refused with a sentence', (t) => {
  for (const text of ['', '{', 'null', '[]', '3', '{}', '{"version":3}', '{"version":2}', '{"version":1}']) {
    t.true(problemsOf(() => decodePlan(text)).length > 0, text);
  }
  t.regex(
    problemsOf(() => decodePlan('{"version":3}'))[0]!,
    /^version: is 3; expected 1 to 2: read it with the version/,
  );
  t.regex(problemsOf(() => decodePlan('{"version":0}'))[0]!, /^version: is 0; expected 1 to 2: search again/);
});

test('a plan file of version 1 is taken up, and predicted as it was but for its memory', async (t) => {
  const text = await readFile(new URL('fixtures/plan-v1.json', import.meta.url), 'utf8');
  const plan = decodePlan(text);
  t.is(plan.version, 2);
  t.is(plan.training, undefined, 'not said');
  const resolved = resolvePlan(plan, training.graph);
  const problem = { training, cluster: resolved.cluster, costs: createRooflineCosts() };
  // Memory is counted in another way since.
  const { peakMemoryBytes: _now, ...now } = evaluate(problem, resolved.strategy);
  const { peakMemoryBytes: _then, ...then } = plan.prediction;
  t.deepEqual(now, then);
});

test('a plan says what the model is trained with, and who wrote it', async (t) => {
  const packageFile = new URL('../../package.json', import.meta.url);
  const { version }: { version: string } = JSON.parse(await readFile(packageFile, 'utf8'));
  const smoothed = attachLoss(
    builtinGraph('lenet', 8),
    'crossEntropy',
    { labelSmoothing: 0.1, ignoreIndex: 3, classAxis: 1 },
    4,
  );
  const strategy = expertStrategy(smoothed.graph, cluster);
  const { prediction } = planOf();
  const context = { prediction, baselines: {}, origin: 'expert' };
  const options = { collectives: ['ring'], wire: 'bfloat16', clipsGradients: true } as const;
  const subject = { training: smoothed, cluster, optimizer: 'adam', ...options } as const;
  const plan = createPlan(subject, strategy, context);
  t.is(plan.soapstone, version);
  t.deepEqual(plan.training, {
    loss: { name: 'crossEntropy', ignoreIndex: 3, labelSmoothing: 0.1, classAxis: 1 },
    optimizer: 'adam',
    ...options,
    gradientAccumulationSteps: 4,
  });
  t.is(plan.model.batch, 32);
  t.deepEqual(decodePlan(encodePlan(plan)), plan);
});

test('a plan for another model is refused with the difference', (t) => {
  const plan = planOf();
  const refused = (graph: Graph): string => t.throws(() => resolvePlan(plan, graph, 'plan.json')).message;
  t.regex(
    refused(trainingOf('alexnet', 8).graph),
    /plan\.json is for another model: it has 2 problems:\n {2}ops: lacks conv3/,
  );
  t.regex(
    refused(trainingOf('lenet', 16).graph),
    /ops: has conv1: conv2d \[8,6,28,28\] where the model has conv2d \[16,6,28,28\], .* \(planned for batch 8\)/,
  );
  const { graph } = training;
  const [first, ...others] = graph.ops;
  const regrouped = { ...graph, ops: [{ ...first!, attributes: { ...first!.attributes, note: 1 } }, ...others] };
  t.regex(refused(regrouped), /batch 8\); expected [0-9a-f]{16} of 'lenet': attributes, wiring or/);
});

test('a plan has what is frozen, and one for other frozen parameters is refused with the difference', (t) => {
  const half = attachLoss(freeze(builtinGraph('lenet', 8), ['conv*']), 'crossEntropy');
  const strategy = expertStrategy(half.graph, cluster);
  const prediction = evaluate({ training: half, cluster, costs: createRooflineCosts() }, strategy);
  const plan = createPlan({ training: half, cluster }, strategy, { prediction, baselines: {}, origin: 'expert' });
  const names = ['conv1.weight', 'conv1.bias', 'conv2.weight', 'conv2.bias'];
  t.deepEqual(plan.training?.frozen, names);
  t.deepEqual(decodePlan(encodePlan(plan)), plan);
  t.deepEqual(resolvePlan(plan, half.graph).strategy, strategy);
  t.deepEqual(
    problemsOf(() => resolvePlan(plan, training.graph)),
    [`training.frozen: freezes ${names.join(', ')}, which is to be trained: search again for this model`],
  );
  const other = attachLoss(freeze(builtinGraph('lenet', 8), ['conv*', 'fc1.bias']), 'crossEntropy');
  t.deepEqual(
    problemsOf(() => resolvePlan(plan, other.graph)),
    ['training.frozen: trains fc1.bias, which is to be frozen: search again for this model'],
  );
  t.is(planOf().training?.frozen, undefined);
});

test('an older plan, which does not say what its ops are, is refused for another batch all the same', async (t) => {
  const plan = decodePlan(await readFile(new URL('fixtures/plan-v1.json', import.meta.url), 'utf8'));
  const problems = problemsOf(() => resolvePlan(plan, trainingOf('lenet', 16).graph));
  t.regex(problems.join(), /^model\.fingerprint: is [0-9a-f]{16} \(model 'lenet', batch 8\)/);
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
  const resolved = (changes: Readonly<Record<string, unknown>>): string[] =>
    problemsOf(() => resolvePlan(decodeWith(changes), training.graph));
  t.deepEqual(resolved({ 'ops.fc1.degrees': { depth: 4 }, 'ops.fc2.devices': ['node0/gpu0', 'mars'] }), [
    "ops.fc1.degrees: has 'depth'; expected sample, channel, width",
    'ops.fc2.devices: has mars, which the cluster has not; expected names of its devices',
  ]);
  t.deepEqual(resolved({ 'ops.fc3.degrees': { channel: 3 } }), [
    "ops: op 'fc3': degree 3 of 'channel'; expected a divisor of 10",
    "ops: op 'fc3': 2 devices; expected 3, one for each part",
  ]);
});

test('a plan whose cluster falls apart is refused', (t) => {
  const problems = problemsOf(() => resolvePlan(decodeWith({ 'cluster.connections': [] }), training.graph));
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
  t.regex(graphFingerprint(graph), /^[0-9a-f]{16}$/);
});

test('the fingerprint tells graphs apart that differ only in what an op reads', (t) => {
  const build = (second: 'a' | 'b'): Graph => {
    const builder = new GraphBuilder();
    const x = builder.input('x', [2, 3]);
    const [a, b] = [builder.op('relu', 'a', [x]), builder.op('relu', 'b', [x])];
    return builder.build('twins', [builder.op('add', 'sum', [a, second === 'a' ? a : b])]);
  };
  t.not(graphFingerprint(build('a')), graphFingerprint(build('b')));
});
