import test from 'ava';
import { parse } from 'yaml';
import { parseCluster } from '../../soap/cluster/cluster-file.ts';
import { presetCluster } from '../../soap/cluster/presets.ts';
import { connectionCount, wireNode } from '../../soap/cluster/wiring.ts';
import { FileError } from '../../soap/schema/check.ts';

const problemsOf = (yaml: string): string[] => {
  try {
    parseCluster(parse(yaml), 'cluster.yaml');
  } catch (error) {
    if (error instanceof FileError) return error.problems.map(({ path, message }) => `${path}: ${message}`);
    throw error;
  }
  return [];
};

test('the description of every preset is a cluster file that gives the same cluster', (t) => {
  for (const name of ['p100x8', 'k80x16', 'v100x16', 'a100x16', 'gb200x144', 'localx2']) {
    const preset = presetCluster(name);
    const parsed = parseCluster(JSON.parse(JSON.stringify(preset.description)));
    t.deepEqual(parsed.devices, preset.devices);
    t.deepEqual(parsed.links, preset.links);
  }
});

test('a short file with a known type takes its numbers and converts units once', (t) => {
  const cluster = parseCluster(
    parse(`
name: mine
nodes:
  - count: 2
    devices: { count: 4, type: A100 }
    intraNode: { kind: nvswitch }
    network: { bandwidthGbps: 200, latencyUs: 3 }
`),
  );
  t.is(cluster.devices.length, 8);
  t.is(cluster.devices[5]!.name, 'node1/gpu1');
  t.is(cluster.devices[5]!.flopsPerSec, 19.5e12);
  t.regex(cluster.devices[5]!.source, /A100 data sheet/);
  const link = (name: string) => cluster.links.find((candidate) => candidate.name === name)!;
  t.is(link('node0/host>network').bandwidthBytesPerSec, 25e9, 'gigabits');
  t.is(link('node0/gpu0>node0/nvswitch').bandwidthBytesPerSec, 300e9, 'gigabytes');
});

test('a short file may bring its own type and bandwidths, whose source is then the file', (t) => {
  const cluster = parseCluster(
    parse(`
name: mine
nodes:
  - count: 1
    devices: { count: 3, type: abacus, teraflops: 2, memoryBandwidthGBps: 50, memoryGiB: 4, taskOverheadUs: 7 }
    intraNode: { kind: pcieSwitch, bandwidthGBps: 6, latencyUs: 4 }
`),
    'mine.yaml',
  );
  const [device] = cluster.devices;
  t.like(device, {
    type: 'abacus',
    flopsPerSec: 2e12,
    memoryBandwidthBytesPerSec: 50e9,
    memoryBytes: 4 * 2 ** 30,
    taskOverheadUs: 7,
    source: 'teraflops, memoryBandwidthGBps, memoryGiB, taskOverheadUs: mine.yaml',
  });
  const route = cluster.route(0, 2).map((id) => cluster.links[id]!);
  t.deepEqual(
    route.map(({ name, bandwidthBytesPerSec, latencyUs }) => [name, bandwidthBytesPerSec, latencyUs]),
    [
      ['node0/gpu0>node0/switch', 6e9, 4],
      ['node0/switch>node0/gpu2', 6e9, 4],
    ],
  );
});

test('groups of unlike nodes are numbered through', (t) => {
  const cluster = parseCluster(
    parse(`
name: mixed
nodes:
  - { count: 1, devices: { count: 2, type: v100 }, intraNode: { kind: nvlinkMesh }, network: { bandwidthGbps: 10, latencyUs: 9 } }
  - { count: 2, devices: { count: 1, type: H100, memoryGiB: 94 }, intraNode: { kind: nvswitch }, network: { bandwidthGbps: 40, latencyUs: 9 } }
`),
  );
  t.deepEqual(
    cluster.devices.map(({ name, type }) => `${name} ${type}`),
    ['node0/gpu0 V100', 'node0/gpu1 V100', 'node1/gpu0 H100', 'node2/gpu0 H100'],
  );
  t.is(cluster.devices[3]!.memoryBytes, 94 * 2 ** 30);
  t.is(cluster.route(0, 3).length, 4);
});

test('all problems of a short file are listed with their paths', (t) => {
  t.deepEqual(
    problemsOf(`
name: mine
nodes:
  - count: 0
    devices: { count: 4, typ: A100 }
    intraNode: { kind: nvlink, bandwidthGbps: 300 }
`),
    [
      'nodes[0].count: got 0, expected at least 1: raise it',
      'nodes[0].devices.type: is missing, and has no default: add it',
      'nodes[0].devices.typ: unknown field; nodes[0].devices has count, type, teraflops, memoryBandwidthGBps, memoryGiB, taskOverheadUs: did you mean type?',
      'nodes[0].intraNode.bandwidthGbps: unknown field; nodes[0].intraNode has kind, bandwidthGBps, latencyUs, hostBandwidthGBps, nodesPerDomain: did you mean bandwidthGBps?',
      'nodes[0].intraNode.kind: got "nvlink", expected nvlinkPairs or nvlinkMesh or nvlinkCubeMesh or nvswitch or pcieSwitch or pciePairs: use one of these',
    ],
  );
  t.deepEqual(
    problemsOf(
      '{ name: m, nodes: [{ count: 2, devices: { count: 2, type: mine, teraflops: 1 }, intraNode: { kind: nvswitch } }] }',
    ).map((problem) => problem.split(':')[0]),
    [
      'nodes[0].devices.memoryBandwidthGBps',
      'nodes[0].devices.memoryGiB',
      'nodes[0].devices.taskOverheadUs',
      'nodes[0].intraNode.bandwidthGBps',
      'nodes[0].network',
    ],
  );
});

test('numbers that do not go together are refused', (t) => {
  const problemOf = (devices: string, intraNode: string, network: string): string =>
    problemsOf(
      `{ name: m, nodes: [{ count: 1, devices: { ${devices} }, intraNode: { ${intraNode} }, network: { ${network}bandwidthGbps: 1, latencyUs: 1 } }] }`,
    ).join();
  for (const [devices, intraNode, network, problem] of [
    ['count: 4, type: K80', 'kind: nvswitch', '', /bandwidthGBps: is missing; type K80 has no NVLink: add/],
    ['count: 8, type: V100', 'kind: nvlinkMesh', '', /bandwidthGBps: is missing; type V100 has 6 NVLinks, too few/],
    ['count: 8, type: P100', 'kind: nvlinkCubeMesh', '', /bandwidthGBps: is missing; type P100 has 4 NVLinks, too few/],
    ['count: 9, type: V100', 'kind: nvlinkCubeMesh', '', /devices.count: is 9; expected at most 8 with kind nvlinkCu/],
    ['count: 2, type: V100', 'kind: pcieSwitch, hostBandwidthGBps: 9', '', /hostBandwidthGBps: has no meaning with ki/],
    ['count: 2, type: V100', 'kind: nvlinkPairs, nodesPerDomain: 2', '', /nodesPerDomain: is 2; expected 1 with kind/],
    ['count: 8, type: V100', 'kind: nvswitch', 'adapters: 3, ', /network.adapters: is 3; expected a divisor of dev/],
    ['count: 8, type: V100', 'kind: pcieSwitch', 'adapters: 2, ', /adapters: is 2; expected 1, at the host with kind/],
    ['count: 8, type: V100', 'kind: pciePairs', 'adapters: 2, ', /adapters: is 2; expected 1, at the host, or one fo/],
    ['count: 8, type: V100', 'kind: pciePairs', 'adapters: 4, ', /^$/],
    ['count: 8, type: P100', 'kind: nvlinkMesh, bandwidthGBps: 9', 'adapters: 8, ', /^$/],
  ] as const) {
    t.regex(problemOf(devices, intraNode, network), problem);
  }
});

test('nodes need a network unless one NVSwitch joins them all', (t) => {
  const entry = (count: number, nodesPerDomain: number): string =>
    `{ count: ${count}, devices: { count: 4, type: GB200 }, intraNode: { kind: nvswitch, nodesPerDomain: ${nodesPerDomain} } }`;
  const fabric = 'fabric: { nodesPerLeaf: 1, latencyUs: 1 }';
  t.deepEqual(problemsOf(`{ name: m, nodes: [${entry(18, 18)}] }`), []);
  t.regex(
    problemsOf(`{ name: m, nodes: [${entry(19, 18)}] }`)[0]!,
    /^nodes\[0\].network: is missing, and the cluster has/,
  );
  t.is(problemsOf(`{ name: m, nodes: [${entry(18, 18)}, ${entry(1, 1)}] }`).length, 2);
  t.regex(
    problemsOf(`{ name: m, nodes: [${entry(1, 1)}], ${fabric} }`)[0]!,
    /^nodes\[0\].network: is missing, and the file/,
  );
});

test('sizes are refused before anything of that size is made', (t) => {
  const file = (count: number, devices: number, intraNode: string, network: string = '', more: string = ''): string[] =>
    problemsOf(
      `{ name: m, nodes: [{ count: ${count}, devices: { count: ${devices}, type: A100 }, intraNode: { kind: ${intraNode} }, network: { ${network}bandwidthGbps: 1, latencyUs: 1 } }]${more} }`,
    );
  t.regex(file(8192, 8192, 'nvswitch')[0]!, /^nodes: has 67108864 devices; expected at most 8192/);
  t.regex(
    file(1, 8192, 'nvlinkMesh, bandwidthGBps: 1')[0]!,
    /^nodes: needs about 33558529 connections; expected at most/,
  );
  t.deepEqual(file(1024, 8, 'nvswitch'), []);
  t.deepEqual(
    file(1024, 8, 'nvswitch', 'adapters: 8, ', ', fabric: { nodesPerLeaf: 32, rails: true, latencyUs: 1 }'),
    [],
  );
  t.regex(file(1, 8, 'nvswitch', 'adapters: 1000000000, ')[0]!, /adapters: got 1000000000, expected at most 8192/);
  t.regex(
    file(1, 8, 'nvswitch', '', ', fabric: { nodesPerLeaf: 1e12, oversubscription: 1e12, latencyUs: 1 }').join(),
    /nodesPerLeaf: got 1000000000000, expected at most 8192.*oversubscription: got 1000000000000, expected at most/,
  );
});

test('the counts that limits are checked by are never less than what is made', (t) => {
  const kinds = ['nvlinkPairs', 'nvlinkMesh', 'nvlinkCubeMesh', 'nvswitch', 'pcieSwitch', 'pciePairs'] as const;
  for (const kind of kinds) {
    for (let devices = 1; devices <= 8; devices++) {
      for (const adapters of [1, devices / 2, devices].filter(Number.isInteger)) {
        const names = Array.from({ length: devices }, (_, i) => `d${i}`);
        const speed = { bandwidthBytesPerSec: 1, latencyUs: 1, source: 's' };
        const wired = wireNode('n', names, { kind, device: speed, host: speed }, devices / adapters, 'n/nvswitch');
        t.true(wired.connections.length <= connectionCount(kind, devices, adapters), `${kind} ${devices} ${adapters}`);
        t.true(wired.adapters.length <= adapters);
      }
    }
  }
});

test('infinities and NaN, which YAML can write, are refused', (t) => {
  const file = (value: string): string =>
    `{ name: m, nodes: [{ count: 1, devices: { count: 1, type: A100, teraflops: ${value} }, intraNode: { kind: nvswitch } }] }`;
  for (const value of ['.inf', '.nan', '-.inf', '0', '"1"']) t.is(problemsOf(file(value)).length, 1, value);
});

test('a value that is no cluster file at all is refused with a sentence', (t) => {
  for (const value of ['null', '3', '[]', 'text', '{}', '{ nodes: 3 }', '{ nodes: [null] }']) {
    t.true(problemsOf(value).length > 0, value);
  }
});

const long = (devices: string, connections: string): string =>
  `{ name: m, devices: [${devices}], connections: [${connections}] }`;
const device = (name: string): string =>
  `{ name: ${name}, node: n, type: t, flopsPerSec: 1, memoryBandwidthBytesPerSec: 1, memoryBytes: 1, taskOverheadUs: 0, source: s }`;
const wire = (a: string, b: string): string =>
  `{ between: [${a}, ${b}], bandwidthBytesPerSec: 1, latencyUs: 0, source: s }`;

test('devices of one name, and wires from a point to itself, are refused', (t) => {
  t.deepEqual(problemsOf(long(`${device('a')}, ${device('a')}`, `${wire('a', 's')}, ${wire('s', 's')}`)), [
    "devices[1].name: is 'a' again; expected unique names: rename it",
    "connections[1].between: joins 's' with itself; expected two points",
  ]);
});

test('devices that do not reach each other are refused, and those that do are not', (t) => {
  const abc = ['a', 'b', 'c'].map(device).join();
  t.deepEqual(problemsOf(long(abc, `${wire('a', 'b')}, ${wire('b', 'c')}`)), [
    "devices[0]: 'a' has no way to 'c' that passes no other device: connect them",
  ]);
  t.deepEqual(problemsOf(long(abc, `${wire('a', 's')}, ${wire('b', 's')}, ${wire('c', 'u')}`)), [
    "devices[0]: 'a' has no way to 'c' that passes no other device: connect them",
    "devices[1]: 'b' has no way to 'c' that passes no other device: connect them",
  ]);
  t.deepEqual(problemsOf(long(abc, `${wire('a', 's')}, ${wire('b', 's')}, ${wire('c', 'u')}, ${wire('s', 'u')}`)), []);
  t.deepEqual(problemsOf(long(abc, `${wire('a', 'b')}, ${wire('b', 'c')}, ${wire('a', 'c')}`)), []);
  t.deepEqual(problemsOf(long(device('a'), '')), []);
});

test('a cluster of many islands is refused quickly with a few of the separated pairs', (t) => {
  const many = Array.from({ length: 200 }, (_, i) => device(`d${i}`)).join();
  t.is(problemsOf(long(many, '')).length, 8);
});
