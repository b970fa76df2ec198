import test from 'ava';
import { presetCluster } from '../../soap/cluster/presets.ts';
import { createRooflineCosts } from '../../soap/cost/roofline.ts';
import type { Graph } from '../../soap/graph/graph.ts';
import { attachLoss } from '../../soap/training/loss.ts';
import type { ModelParameters } from '../../soap/models/index.ts';
import { BUILTIN_MODELS, findBuiltin } from '../../soap/models/index.ts';
import { opDimensions } from '../../soap/ops/index.ts';
import { evaluate } from '../../soap/simulator/evaluate.ts';
import { dataParallel, expertStrategy, modelParallel, singleDevice } from '../../soap/baselines/index.ts';
import type { Strategy } from '../../soap/strategy/strategy.ts';
import { validateStrategy } from '../../soap/strategy/validate.ts';

function graphOf(name: string, batch: number, parameters: ModelParameters = {}): Graph {
  const model = findBuiltin(name);
  return attachLoss(model.build(batch, parameters), model.loss).graph;
}

/** Op name -> the dimensions it is cut along and its devices. */
function shown(graph: Graph, { configs }: Strategy): Record<string, string> {
  const entries = graph.ops.map((op) => {
    const { degrees, devices } = configs[op.id]!;
    const cuts = opDimensions(graph, op).flatMap(({ name }, i) => (degrees[i] === 1 ? [] : [`${name} ${degrees[i]}`]));
    return [op.name, `${cuts.join(' ')} on ${devices.join()}`.trim()];
  });
  return Object.fromEntries(entries);
}

function expert(
  name: string,
  batch: number,
  cluster: string,
  parameters: ModelParameters = {},
): Record<string, string> {
  const graph = graphOf(name, batch, parameters);
  return shown(graph, expertStrategy(graph, presetCluster(cluster)));
}

const CLUSTERS = ['p100x1', 'localx3', 'k80x16'];
const BATCHES = [1, 3];

for (const model of BUILTIN_MODELS) {
  test(`every baseline of ${model.name} is valid at a small batch, on one device and on several`, (t) => {
    for (const batch of BATCHES) {
      const { graph } = attachLoss(model.build(batch, {}), model.loss);
      for (const cluster of CLUSTERS.map(presetCluster)) {
        for (const strategy of [
          dataParallel(graph, cluster),
          modelParallel(graph, cluster),
          expertStrategy(graph, cluster),
          singleDevice(graph),
        ]) {
          t.deepEqual(validateStrategy(graph, cluster.devices.length, strategy), [], `batch ${batch}, ${cluster.name}`);
        }
      }
    }
  });
}

test('a single device has every op whole', (t) => {
  const graph = graphOf('lenet', 12);
  t.deepEqual([...new Set(Object.values(shown(graph, singleDevice(graph))))], ['on 0']);
});

test('data parallelism splits every op by sample over all devices, or as many as divide the batch', (t) => {
  const graph = graphOf('lenet', 12);
  const four = Object.values(shown(graph, dataParallel(graph, presetCluster('p100x4'))));
  t.deepEqual([...new Set(four)], ['sample 4 on 0,1,2,3']);
  const eight = Object.values(shown(graph, dataParallel(graph, presetCluster('p100x8'))));
  t.deepEqual([...new Set(eight)], ['sample 6 on 0,1,2,3,4,5'], 'a batch of 12');
});

test('model parallelism splits parameters, and ops without parameters stay where their data is', (t) => {
  const graph = graphOf('lenet', 12);
  const strategy = shown(graph, modelParallel(graph, presetCluster('localx2')));
  const { crossEntropy, ...others } = strategy;
  t.deepEqual([...new Set(Object.values(others))], ['channel 2 on 0,1']);
  t.is(crossEntropy, 'class 2 on 0,1');
});

test('model parallelism puts recurrent layers, which cannot be split, on the devices in turn', (t) => {
  const graph = graphOf('rnntc', 4);
  const strategy = shown(graph, modelParallel(graph, presetCluster('p100x4')));
  t.deepEqual(
    ['lstm1.0', 'lstm1.32', 'lstm2.0', 'lstm3.0', 'lstm4.0', 'lstm4.32'].map((name) => strategy[name]),
    ['on 0', 'on 0', 'on 1', 'on 2', 'on 3', 'on 3'],
  );
});

test('the expert for convolutional networks splits convolutions by sample and linear layers by parameter', (t) => {
  const strategy = expert('lenet', 12, 'p100x4');
  t.is(strategy['conv2'], 'sample 4 on 0,1,2,3');
  t.is(strategy['flatten'], 'sample 4 on 0,1,2,3');
  t.is(strategy['fc1'], 'channel 4 on 0,1,2,3');
  t.is(strategy['relu3'], 'channel 4 on 0,1,2,3');
  t.is(strategy['fc3'], 'channel 2 on 0,1', 'ten classes');
  t.is(strategy['crossEntropy'], 'class 2 on 0,1', 'logits stay where they are');
});

test('the expert for recurrent networks puts each depth on one GPU of every node', (t) => {
  const strategy = expert('nmt', 64, 'p100x8');
  const [first, second, head] = ['sample 2 on 0,4', 'sample 2 on 1,5', 'sample 2 on 2,6'];
  for (const name of ['sourceEmbedding.0', 'targetEmbedding.8', 'encoder1.0', 'decoder1.32']) {
    t.is(strategy[name], first, name);
  }
  for (const name of ['encoder2.16', 'encoded', 'decoder2.0']) t.is(strategy[name], second, name);
  for (const name of ['attention.0', 'combine.8', 'tanh.8']) t.is(strategy[name], head, name);
  t.is(strategy['output.32'], 'sample 2 channel 4 on 0,1,2,3,4,5,6,7', 'the vocabulary over the GPUs of a node');
  t.is(strategy['crossEntropy'], 'sample 2 class 4 on 0,1,2,3,4,5,6,7');
});

test('where there are more depths than GPUs, neighbouring depths share one and the busiest does least', (t) => {
  const four = expert('rnntc', 8, 'p100x4');
  t.deepEqual(
    ['embedding.0', 'lstm1.0', 'lstm2.0', 'lstm3.0', 'lstm4.0', 'output'].map((name) => four[name]),
    ['on 0', 'on 0', 'on 1', 'on 2', 'on 3', 'on 3'],
  );
  const two = expert('rnntc', 8, 'p100x2');
  t.deepEqual(
    ['lstm1.0', 'lstm2.0', 'lstm3.0', 'lstm4.0', 'output'].map((name) => two[name]),
    ['on 0', 'on 0', 'on 1', 'on 1', 'on 1'],
  );
});

test('the expert for transformers is tensor parallel inside a node, by sequence between, data parallel over nodes', (t) => {
  const strategy = expert('gpt', 6, 'p100x8', { layers: 1, vocabulary: 512 });
  const by = (name: string): string => `sample 2 ${name} 4 on 0,1,2,3,4,5,6,7`;
  t.deepEqual(strategy, {
    embedding: by('vocabulary'),
    positions: by('sequence'),
    'block0.norm1': by('sequence'),
    'block0.query': by('channel'),
    'block0.key': by('channel'),
    'block0.value': by('channel'),
    'block0.attention': by('heads'),
    'block0.projection': by('width'),
    'block0.add1': by('sequence'),
    'block0.norm2': by('sequence'),
    'block0.up': by('channel'),
    'block0.gelu': by('channel'),
    'block0.down': by('width'),
    'block0.add2': by('sequence'),
    norm: by('sequence'),
    output: by('channel'),
    crossEntropy: by('class'),
  });
});

test('dropouts leave the cuts of all else, and are by sequence like the sums that read them', (t) => {
  const parameters = { layers: 1, vocabulary: 512 };
  const {
    dropout: first,
    'block0.dropout1': attended,
    'block0.dropout2': fed,
    ...rest
  } = expert('gpt', 6, 'p100x8', {
    ...parameters,
    dropout: 0.1,
  });
  t.deepEqual(rest, expert('gpt', 6, 'p100x8', parameters));
  for (const dropout of [first, attended, fed]) t.is(dropout, 'sample 2 sequence 4 on 0,1,2,3,4,5,6,7');
});

test('what cannot be cut as Megatron-LM does is cut by position', (t) => {
  const gpt = expert('gpt', 2, 'p100x4', { layers: 1 });
  t.is(gpt['output'], 'sequence 4 on 0,1,2,3', '50,257 words');
  t.is(gpt['crossEntropy'], 'sequence 4 on 0,1,2,3');
  const vit = expert('vit', 8, 'p100x4', { layers: 1 });
  t.is(vit['block0.norm1'], 'sample 4 on 0,1,2,3', '197 positions');
  const wide = expert('gpt', 8, 'h100x8', { layers: 1, heads: 12 });
  t.is(wide['block0.attention'], 'sample 2 heads 4 on 0,1,2,3,4,5,6,7', 'twelve heads over groups of four GPUs');
});

const LARGE = { layers: 24, width: 8192, heads: 64, sequence: 1024, vocabulary: 51_200 };

test('layers that do not fit into memory go to stages of consecutive nodes, with several microbatches', (t) => {
  const graph = graphOf('gpt', 8, LARGE);
  const cluster = presetCluster('a100x32');
  const strategy = expertStrategy(graph, cluster, 'adam');
  const firstDevice = strategy.configs.map(({ devices }) => devices[0]!);
  t.true(
    firstDevice.every((device, i) => i === 0 || device >= firstDevice[i - 1]!),
    'stages follow each other',
  );
  t.deepEqual([...new Set(firstDevice)], [0, 16]);
  t.is(
    shown(graph, strategy)['block0.query']!.split(' on ')[0],
    'sample 8 channel 8',
    '4 microbatches for each of 2 replicas',
  );
  const problem = {
    training: { graph, lossOps: [], accumulationSteps: 1 },
    cluster,
    costs: createRooflineCosts(),
    optimizer: 'adam',
  } as const;
  t.false(evaluate(problem, dataParallel(graph, cluster)).feasible);
  t.true(evaluate(problem, strategy).feasible);
});
