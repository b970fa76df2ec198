import test from 'ava';
import { parse } from 'yaml';
import { parseCluster } from '../../soap/cluster/cluster-file.ts';
import type { Cluster } from '../../soap/cluster/cluster.ts';
import { presetCluster } from '../../soap/cluster/presets.ts';
import { createCluster } from '../../soap/cluster/topology.ts';
import { createCostTable } from '../../soap/cost/cost-table.ts';
import { createMeasuredCosts } from '../../soap/cost/measured.ts';
import { createRooflineCosts } from '../../soap/cost/roofline.ts';
import { changeCluster } from '../../soap/explain/cluster-changes.ts';
import { explain } from '../../soap/explain/explanation.ts';
import { nameRanges } from '../../soap/explain/words.ts';
import { attachLoss } from '../../soap/training/loss.ts';
import { builtinModel } from '../../soap/models/index.ts';
import type { PlanningProblem } from '../../soap/simulator/evaluate.ts';
import { evaluate } from '../../soap/simulator/evaluate.ts';
import { baselinesOf } from '../../soap/search/baselines.ts';
import { hostPrior } from '../../soap/simulator/host/prior.ts';
import { createRandom } from '../../soap/random.ts';
import { dataParallel, expertStrategy } from '../../soap/baselines/index.ts';
import { randomStrategy } from '../../soap/strategy/random.ts';
import { KERNELS_VERSION } from '../../soap/version.ts';
import { freelyNamed } from '../support/freely-named.ts';

function problem(batch: number, cluster: string = 'p100x8'): PlanningProblem {
  const { graph } = builtinModel('lenet', batch, 1, {});
  const training = attachLoss(graph, 'crossEntropy');
  return { training, cluster: presetCluster(cluster), costs: createRooflineCosts() };
}

test('budgets, shares of ops and the path add up to the iteration, whatever the strategy', (t) => {
  const subject = problem(64);
  const { graph } = subject.training;
  const strategies = [
    dataParallel(graph, subject.cluster),
    expertStrategy(graph, subject.cluster),
    ...[1, 2, 3].map((seed) => randomStrategy(graph, subject.cluster, createRandom(seed))),
  ];
  for (const strategy of strategies) {
    const { explanation } = explain(subject, strategy);
    const { makespanUs, budget, ops, criticalPath, devices, prediction, levers } = explanation;
    const near = (us: number): void => {
      t.true(Math.abs(us - makespanUs) < 1e-6 * makespanUs, `${us} of ${makespanUs}`);
    };
    near(prediction.iterationMs * 1000);
    near(Object.values(budget).reduce((a, b) => a + b, 0));
    near(ops.reduce((sum, { criticalUs }) => sum + criticalUs, 0));
    near(criticalPath.reduce((sum, { fromUs, toUs }) => sum + toUs - fromUs, 0));
    t.true(levers.every(({ gain }) => gain >= 0));
    for (const { dataParallel } of ops)
      t.notRegex(dataParallel.reason, /for (.+) instead of \1(;|$)/, 'a time that stays as it is says nothing');
    for (const { device: _, ...parts } of devices) near(Object.values(parts).reduce((a, b) => a + b, 0));
  }
});

test('what the data-parallel choice of one op costs is what the changed strategy is predicted to cost', (t) => {
  const subject = problem(64);
  const { graph } = subject.training;
  const strategy = expertStrategy(graph, subject.cluster);
  const data = dataParallel(graph, subject.cluster);
  const { explanation } = explain(subject, strategy);
  const others = explanation.ops.filter(({ dataParallel }) => !dataParallel.isChosen);
  t.true(others.length > 0);
  for (const { op, dataParallel: alternative } of explanation.ops) {
    const { id } = graph.ops.find(({ name }) => name === op)!;
    const configs = strategy.configs.map((config, i) => (i === id ? data.configs[i]! : config));
    const changed = evaluate(subject, { configs });
    t.is(alternative.iterationUs! / 1000, changed.iterationMs);
    t.is(alternative.transferredBytesDifference, changed.transferredBytes - explanation.prediction.transferredBytes);
    t.regex(alternative.reason, /^(is what the plan does|loses |would be |makes no difference)/);
  }
});

test('what would not fit into memory is the last of the levers, whatever it would gain', (t) => {
  const [whole, larger] = [problem(1024), problem(2048)];
  const strategy = dataParallel(whole.training.graph, whole.cluster);
  const [now, then] = [whole, larger].map((each) => evaluate(each, strategy).peakMemoryBytes);
  const { description } = whole.cluster;
  const devices = description.devices.map((each) => ({ ...each, memoryBytes: Math.round((now! + then!) / 2) }));
  const cluster = createCluster({ ...description, devices });
  const { levers } = explain({ ...whole, cluster }, strategy, larger.training).explanation;
  const last = levers.at(-1)!;
  t.deepEqual([last.change, last.feasible], ['a batch of 2048 samples', false]);
  t.true(levers.some(({ gain, feasible }) => feasible && gain < last.gain));
});

test('levers are simulated: twice the batch is what the larger model is predicted to take', (t) => {
  const [subject, larger] = [problem(64), problem(128)];
  const strategy = dataParallel(subject.training.graph, subject.cluster);
  const { levers } = explain(subject, strategy, larger.training).explanation;
  const batch = levers.find(({ change }) => change === 'a batch of 128 samples')!;
  t.is(batch.iterationMs, evaluate(larger, strategy).iterationMs);
  const network = levers.find(({ change }) => change.includes('host - network'))!;
  const changed = { ...subject, cluster: changeCluster(subject.cluster, 'network*2') };
  t.is(network.iterationMs, evaluate(changed, strategy).iterationMs);
  t.true(network.gain > 0);
  t.deepEqual(
    levers.map(({ gain }) => gain),
    levers.map(({ gain }) => gain).sort((a, b) => b - a),
  );
});

test('clusters change as the expression says', (t) => {
  const cluster = presetCluster('p100x8');
  const bandwidths = (changed: typeof cluster): Record<string, number> =>
    Object.fromEntries(changed.links.map(({ name, bandwidthBytesPerSec }) => [name, bandwidthBytesPerSec]));
  const doubled = bandwidths(changeCluster(cluster, 'network*2'));
  t.is(doubled['node0/host>network'], 25e9);
  t.is(doubled['node0/gpu0>node0/host'], 12e9);
  const grown = changeCluster(cluster, 'nodes+2, compute*3');
  t.is(grown.devices.length, 16);
  t.is(new Set(grown.devices.map(({ node }) => node)).size, 4);
  t.deepEqual(
    grown.route(4, 15).map((id) => grown.links[id]!.name),
    ['node1/gpu0>node1/host', 'node1/host>network', 'network>node3/host', 'node3/host>node3/gpu3'],
  );
  t.is(grown.devices[15]!.flopsPerSec, 3 * cluster.devices[0]!.flopsPerSec);
  t.is(changeCluster(cluster, 'type=h100').devices[0]!.type, 'H100');
  const bad = ['network', 'network*0', 'network*x', 'nodes+0', 'nodes+1.5', 'type=H9', 'optics*2', '', 'nodes=3'];
  for (const expression of bad) t.throws(() => changeCluster(cluster, expression), { message: /expected/ }, expression);
  t.throws(() => changeCluster(presetCluster('localx2'), 'nodes+1'), { message: /connect them/ });
});

const bandwidthsOf = ({ links }: Cluster): Record<string, number> =>
  Object.fromEntries(links.map(({ name, bandwidthBytesPerSec }) => [name, bandwidthBytesPerSec]));

test('NVLink is what joins devices of a node, and leads to an NVSwitch, whatever nodes share it', (t) => {
  const mesh = bandwidthsOf(changeCluster(presetCluster('p100x8'), 'nvlink*2'));
  t.deepEqual(
    [mesh['node0/gpu0>node0/gpu1'], mesh['node0/gpu0>node0/host'], mesh['node0/host>network']],
    [40e9, 12e9, 12.5e9],
  );
  const domain = presetCluster('gb200x8');
  const [before, network, nvlink] = [domain, changeCluster(domain, 'network*2'), changeCluster(domain, 'nvlink*2')].map(
    bandwidthsOf,
  );
  const [wire, cable] = ['node1/gpu0>nvswitch0', 'node1/nic0>network'];
  t.deepEqual([network![wire], network![cable]], [before![wire], 2 * before![cable]!]);
  t.deepEqual([nvlink![wire], nvlink![cable]], [2 * before![wire]!, before![cable]]);
});

test('the network is the same whatever devices are called', (t) => {
  const bandwidths = (cluster: Cluster): number[] =>
    changeCluster(cluster, 'network*2').links.map(({ bandwidthBytesPerSec }) => bandwidthBytesPerSec);
  const cluster = presetCluster('p100x8');
  t.deepEqual(bandwidths(freelyNamed(cluster)), bandwidths(cluster));
});

/** Nodes of a device each below leaves of two, an uplink for every port, or for both. */
const leaves = (nodes: number, oversubscription: number): Cluster =>
  parseCluster(
    parse(`
name: leaves
nodes:
  - { count: ${nodes}, devices: { count: 1, type: H100 }, intraNode: { kind: nvswitch }, network: { bandwidthGbps: 100, latencyUs: 5 } }
fabric: { nodesPerLeaf: 2, latencyUs: 1, oversubscription: ${oversubscription} }
`),
  );

test('a network below leaves is wider as a whole, from the adapter to the spine', (t) => {
  const cluster = leaves(4, 1);
  const wider = changeCluster(cluster, 'network*2');
  for (const [from, to] of [
    [0, 1],
    [0, 3],
  ] as const)
    t.is(wider.path(from, to).bandwidthBytesPerSec, 2 * cluster.path(from, to).bandwidthBytesPerSec);

  const { graph } = builtinModel('alexnet', 64, 1, {});
  const subject = { training: attachLoss(graph, 'crossEntropy'), cluster, costs: createRooflineCosts() };
  const { levers } = explain(subject, dataParallel(subject.training.graph, cluster)).explanation;
  const network = levers.find(({ change }) => change === 'twice the bandwidth of the whole network');
  t.true(network!.gain > 0.01, `${network?.gain}`);
});

test('a node that is added has a port of its own, and an uplink where the last one has', (t) => {
  const names = (cluster: Cluster): string[] => cluster.route(0, 4).map((id) => cluster.links[id]!.name);
  const alone = changeCluster(leaves(4, 1), 'nodes+1');
  t.deepEqual(
    names(alone).slice(-4),
    ['leaf1/uplink2>leaf1/node4/host', 'leaf1/node4/host>node4/host', 'node4/host>node4/gpu0'].toSpliced(
      0,
      0,
      'spine>leaf1/uplink2',
    ),
  );
  t.true(names(changeCluster(leaves(4, 2), 'nodes+1')).includes('spine>leaf1/uplink0'), 'it shares what both share');
});

/** Costs of two processes on a host that was measured, of which every task is known by data sheets alone. */
const HOST_COSTS = createMeasuredCosts(
  createCostTable([
    {
      deviceType: 'cpu',
      kernels: KERNELS_VERSION,
      measured: '2026-11-28T10:00:00Z',
      entries: [],
      messages: [],
      host: hostPrior({ cores: 2, startUs: 10, messages: [] }).costs,
    },
  ]),
);

test('of a host that was measured, devices help and links do not, and nothing is proven by links alone', (t) => {
  const subject: PlanningProblem = { ...problem(64, 'localx2'), costs: HOST_COSTS };
  const strategy = dataParallel(subject.training.graph, subject.cluster);
  const { levers, ops } = explain(subject, strategy).explanation;
  t.deepEqual(
    levers.filter(({ change }) => /links|network/.test(change)),
    [],
  );
  t.true(levers.find(({ change }) => change === 'all devices twice as fast')!.gain > 0.01);
  for (const { dataParallel } of ops) t.notRegex(dataParallel.reason, /search longer/);
  const small: PlanningProblem = {
    ...subject,
    training: attachLoss(builtinModel('lenet', 2, 1, {}).graph, 'crossEntropy'),
  };
  t.false('exact' in baselinesOf(small));
});

test('device names that follow each other are ranges', (t) => {
  t.is(nameRanges(['a/gpu0', 'a/gpu1', 'a/gpu2', 'b/gpu2', 'b/gpu4', 'cpu']), 'a/gpu0-2, b/gpu2, b/gpu4, cpu');
  t.is(nameRanges([]), '');
});
