import { readdir, readFile } from 'node:fs/promises';
import test from 'ava';
import { parse } from 'yaml';
import { parseCluster } from '../../soap/cluster/cluster-file.ts';
import type { Cluster } from '../../soap/cluster/cluster.ts';
import { localityGroups } from '../../soap/cluster/localities.ts';
import { createRooflineCosts } from '../../soap/cost/roofline.ts';
import { attachLoss } from '../../soap/training/loss.ts';
import { lenet } from '../../soap/models/lenet.ts';
import { simulate } from '../../soap/simulator/simulate.ts';
import { dataParallel } from '../../soap/baselines/index.ts';
import { buildTaskGraph } from '../../soap/tasks/build.ts';

const FOLDER = new URL('../../examples/clusters/', import.meta.url);

const read = async (file: string): Promise<Cluster> =>
  parseCluster(parse(await readFile(new URL(file, FOLDER), 'utf8')), file);

/** By file: devices, and of some links the bytes per second each way and the latency. */
const EXPECTED: Readonly<
  Record<
    string,
    { devices: number; levels: readonly number[]; links: Readonly<Record<string, readonly [number, number]>> }
  >
> = {
  'h100-rails.yaml': {
    devices: 512,
    levels: [64, 2, 1],
    links: {
      'node0/gpu0>node0/nvswitch': [450e9, 2],
      'node0/gpu0>node0/nic0': [52e9, 2],
      'node31/nic7>leaf0.7/node31/nic7': [50e9, 5],
      'leaf1.7/uplink15>spine': [50e9, 0.5],
    },
  },
  'gb200-racks.yaml': {
    devices: 144,
    levels: [2, 1],
    links: {
      'node17/gpu3>nvswitch0': [900e9, 2],
      'node18/gpu0>nvswitch1': [900e9, 2],
      'node35/nic3>network': [50e9, 5],
    },
  },
  'mixed.yaml': {
    devices: 32,
    levels: [10, 5, 1],
    links: {
      'node1/gpu7>node1/nvswitch': [300e9, 2],
      'node1/gpu7>node1/nic7': [25e9, 2],
      'node1/nic7>network': [25e9, 5],
      'node2/gpu1>node2/switch0': [25e9, 2],
      'node2/host>network': [12.5e9, 8],
    },
  },
};

test('every example is read, with its numbers in bytes per second', async (t) => {
  t.deepEqual((await readdir(FOLDER)).sort(), Object.keys(EXPECTED).sort());
  for (const [file, { devices, levels, links }] of Object.entries(EXPECTED)) {
    const cluster = await read(file);
    t.is(cluster.devices.length, devices, file);
    t.deepEqual(
      localityGroups(cluster).map(({ length }) => length),
      levels,
    );
    for (const [name, numbers] of Object.entries(links)) {
      const link = cluster.links.find((each) => each.name === name);
      t.deepEqual([link?.bandwidthBytesPerSec, link?.latencyUs], [...numbers], `${file}: ${name}`);
    }
  }
});

test('devices of the mixed example have their own numbers', async (t) => {
  const { devices } = await read('mixed.yaml');
  t.like(devices[15], { name: 'node1/gpu7', type: 'A100', flopsPerSec: 19.5e12, memoryBytes: 80 * 2 ** 30 });
  t.like(devices[16], { name: 'node2/gpu0', type: 'L40S', flopsPerSec: 91.6e12, memoryBandwidthBytesPerSec: 864e9 });
});

test('a part of an op takes its own time on each type of device of one cluster', async (t) => {
  const cluster = await read('mixed.yaml');
  const training = attachLoss(lenet(64), 'crossEntropy');
  const costs = createRooflineCosts();
  const graph = buildTaskGraph(training, dataParallel(training.graph, cluster), cluster, costs);
  const conv = training.graph.ops.find(({ kind }) => kind === 'conv2d')!;
  const durations = graph.tasks.flatMap((task) =>
    task.kind === 'forward' && task.op === conv.id
      ? [[cluster.devices[task.device]!.type, task.durationUs] as const]
      : [],
  );
  t.is(durations.length, 32);
  const byType = Map.groupBy(durations, ([type]) => type);
  const [a100, l40s] = ['A100', 'L40S'].map((type) => [...new Set(byType.get(type)!.map(([, us]) => us))]);
  t.is(a100!.length, 1);
  t.is(l40s!.length, 1);
  t.not(a100![0], l40s![0]);
  t.true(simulate(graph).makespanUs > 0);
});
