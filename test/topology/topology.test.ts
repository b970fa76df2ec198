import test from 'ava';
import { GPU_TYPES } from '../../soap/cluster/device-types.ts';
import { presetCluster } from '../../soap/cluster/presets.ts';
import { createCluster } from '../../soap/cluster/topology.ts';
import { device, wire } from './clusters.ts';

const namedRoute = (cluster: ReturnType<typeof createCluster>, from: number, to: number): string[] =>
  cluster.route(from, to).map((id) => cluster.links[id]!.name);

test('a connection gives one link each way', (t) => {
  const { links } = createCluster({ name: 'c', devices: [device('a'), device('b')], connections: [wire('a', 'b', 7)] });
  t.deepEqual(
    links.map(({ id, name, bandwidthBytesPerSec }) => [id, name, bandwidthBytesPerSec]),
    [
      [0, 'a>b', 7],
      [1, 'b>a', 7],
    ],
  );
});

test('a device reaches itself over no link', (t) => {
  t.deepEqual(presetCluster('p100x4').route(2, 2), []);
});

test('fewer hops win over bandwidth', (t) => {
  const connections = [wire('a', 's', 100), wire('s', 'b', 100), wire('a', 'b', 1)];
  const cluster = createCluster({ name: 'c', devices: [device('a'), device('b')], connections });
  t.deepEqual(namedRoute(cluster, 0, 1), ['a>b']);
});

test('of routes with as many hops, the one with the widest bottleneck wins, wherever it is listed', (t) => {
  const narrow = [wire('a', 's', 100), wire('s', 'b', 1)];
  const wide = [wire('a', 'u', 10), wire('u', 'b', 10)];
  for (const connections of [
    [...narrow, ...wide],
    [...wide, ...narrow],
  ]) {
    const cluster = createCluster({ name: 'c', devices: [device('a'), device('b')], connections });
    t.deepEqual(namedRoute(cluster, 0, 1), ['a>u', 'u>b']);
    t.deepEqual(namedRoute(cluster, 1, 0), ['b>u', 'u>a']);
  }
});

test('the widest of several wires between two points is taken', (t) => {
  const connections = [wire('a', 'b', 1), wire('a', 'b', 3), wire('a', 'b', 2)];
  const cluster = createCluster({ name: 'c', devices: [device('a'), device('b')], connections });
  t.deepEqual(cluster.route(0, 1), [2]);
});

test('data passes through no other device', (t) => {
  const connections = [wire('a', 'm', 9), wire('m', 'b', 9)];
  const cluster = createCluster({ name: 'c', devices: [device('a'), device('m'), device('b')], connections });
  const error = t.throws(() => cluster.route(0, 2), { instanceOf: RangeError });
  t.is(error.message, "cluster 'c' has no way from a to b; connect them");
});

test("the paper's P100 cluster has NVLink inside nodes and a network between them", (t) => {
  const cluster = presetCluster('p100x16');
  t.is(cluster.devices.length, 16);
  t.deepEqual([...new Set(cluster.devices.map(({ node }) => node))], ['node0', 'node1', 'node2', 'node3']);
  t.deepEqual(namedRoute(cluster, 0, 3), ['node0/gpu0>node0/gpu3']);
  const remote = cluster.route(0, 5).map((id) => cluster.links[id]!);
  t.deepEqual(
    remote.map(({ name }) => name),
    ['node0/gpu0>node0/host', 'node0/host>network', 'network>node1/host', 'node1/host>node1/gpu1'],
  );
  t.is(remote[1]!.bandwidthBytesPerSec, 12.5e9, '100 Gb/s are 12.5 GB/s');
});

test("the paper's K80 nodes share a PCIe switch between neighbours and one switch to the host", (t) => {
  const cluster = presetCluster('k80x64');
  t.is(cluster.devices.length, 64);
  t.deepEqual(namedRoute(cluster, 0, 1), ['node0/gpu0>node0/switch0', 'node0/switch0>node0/gpu1']);
  t.deepEqual(namedRoute(cluster, 1, 2), [
    'node0/gpu1>node0/switch0',
    'node0/switch0>node0/switch',
    'node0/switch>node0/switch1',
    'node0/switch1>node0/gpu2',
  ]);
  const out = (gpu: number): string[] => namedRoute(cluster, gpu, 63);
  t.true(out(0).includes('node0/switch>node0/host') && out(3).includes('node0/switch>node0/host'));
  t.is(cluster.links.find(({ name }) => name === 'node0/host>network')!.bandwidthBytesPerSec, 7e9);
});

test('the V100s of a DGX-1 have six NVLinks each, and go through the host where there is none', (t) => {
  const cluster = presetCluster('v100x8');
  for (const { name } of cluster.devices) {
    const nvlinks = cluster.links.filter((link) => link.name.startsWith(`${name}>node0/gpu`));
    t.is(
      nvlinks.reduce((sum, { bandwidthBytesPerSec }) => sum + bandwidthBytesPerSec, 0),
      6 * 25e9,
      name,
    );
  }
  t.is(cluster.path(0, 4).bandwidthBytesPerSec, 50e9, 'two links');
  t.deepEqual(namedRoute(cluster, 0, 7), [
    'node0/gpu0>node0/nic0',
    'node0/nic0>node0/host',
    'node0/host>node0/nic3',
    'node0/nic3>node0/gpu7',
  ]);
});

test('A100 and H100 nodes have NVSwitch inside and an adapter for every GPU', (t) => {
  for (const [name, nvlink, adapter] of [
    ['a100x16', 300e9, 25e9],
    ['h100x16', 450e9, 50e9],
  ] as const) {
    const cluster = presetCluster(name);
    t.is(cluster.path(0, 7).bandwidthBytesPerSec, nvlink);
    t.is(cluster.path(0, 15).bandwidthBytesPerSec, adapter, 'an eighth of the node');
    const [first, second] = [cluster.route(0, 8), cluster.route(1, 9)];
    t.true(
      first.every((link) => !second.includes(link)),
      'two adapters',
    );
  }
});

test('a GB200 rack is one NVLink domain of eighteen nodes', (t) => {
  const cluster = presetCluster('gb200x144');
  t.deepEqual(namedRoute(cluster, 0, 71), ['node0/gpu0>nvswitch0', 'nvswitch0>node17/gpu3']);
  t.is(cluster.path(0, 71).bandwidthBytesPerSec, 900e9);
  t.deepEqual(namedRoute(cluster, 72, 143), ['node18/gpu0>nvswitch1', 'nvswitch1>node35/gpu3']);
  t.is(cluster.path(71, 72).bandwidthBytesPerSec, 50e9);
});

test('presets exist for whole nodes and for less than a node, and say so for anything else', (t) => {
  const sizes = ['p100x1', 'p100x3', 'p100x12', 'k80x2', 'k80x36', 'v100x5', 'a100x24', 'h100x4096', 'gb200x72'];
  for (const name of sizes) {
    const { devices } = presetCluster(name);
    t.is(devices.length, Number(name.split('x')[1]), name);
    t.is(new Set(devices.map((each) => each.name)).size, devices.length);
  }
  t.is(presetCluster('local').devices.length, 2);
  t.is(presetCluster('localx3').devices.length, 3);
  const unknown = 'p100x6 p100 b200x4 __proto__x4 constructorx1 p100x0 p100x1e3 a100x4104 h100x12 localx65 x'.split(
    ' ',
  );
  for (const name of [...unknown, '']) {
    t.throws(() => presetCluster(name), { instanceOf: RangeError, message: /expected p100xN, k80xN/ }, name);
  }
});

test('every device reaches every other in every preset', (t) => {
  for (const name of ['p100x8', 'k80x8', 'v100x16', 'a100x3', 'h100x16', 'gb200x8', 'localx4']) {
    const cluster = presetCluster(name);
    for (const from of cluster.devices) {
      for (const to of cluster.devices) {
        const links = cluster.route(from.id, to.id).map((id) => cluster.links[id]!);
        const points = links.map((link) => link.name.split('>'));
        t.is(points[0]?.[0] ?? to.name, from.name);
        t.is(points.at(-1)?.[1] ?? from.name, to.name);
        t.true(points.every(([, end], i) => i === points.length - 1 || end === points[i + 1]![0]));
      }
    }
  }
});

test('every device type names its data sheet and halves two-way NVLink figures', (t) => {
  t.deepEqual(
    GPU_TYPES.map(({ type }) => type),
    ['P100', 'K80', 'V100', 'A100', 'H100', 'GB200'],
  );
  for (const { source } of GPU_TYPES) t.regex(source, /^NVIDIA .*(data sheet|board specification)/);
  for (const { type, nvlink, intraNodeBytesPerSec } of GPU_TYPES) {
    if (nvlink !== undefined && type !== 'P100') t.is(intraNodeBytesPerSec, nvlink.links * nvlink.bytesPerSec, type);
  }
  t.is(GPU_TYPES.find(({ type }) => type === 'A100')!.intraNodeBytesPerSec, 300e9);
});
