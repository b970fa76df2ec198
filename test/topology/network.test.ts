import test from 'ava';
import { parse } from 'yaml';
import { parseCluster } from '../../soap/cluster/cluster-file.ts';
import type { Cluster } from '../../soap/cluster/cluster.ts';
import { localityGroups } from '../../soap/cluster/localities.ts';
import { presetCluster } from '../../soap/cluster/presets.ts';
import { simulate } from '../../soap/simulator/simulate.ts';
import { linkUs, transferUs } from '../../soap/tasks/transfer-time.ts';
import { taskGraph } from '../support/task-graphs.ts';

/** Nodes of four H100s with as many adapters, below leaves of two nodes. */
const leafCluster = (nodes: number, adapters: number, fabric: string): Cluster =>
  parseCluster(
    parse(`
name: leaves
nodes:
  - count: ${nodes}
    devices: { count: 4, type: H100 }
    intraNode: { kind: nvswitch }
    network: { adapters: ${adapters}, bandwidthGbps: 400, latencyUs: 5 }
fabric: { nodesPerLeaf: 2, latencyUs: 1, ${fabric} }
`),
  );

const namedRoute = (cluster: Cluster, from: number, to: number): string[] =>
  cluster.route(from, to).map((id) => cluster.links[id]!.name);

test('data within a leaf turns at its crossbar, data to another leaf goes up and down an uplink', (t) => {
  const cluster = leafCluster(4, 4, 'oversubscription: 2');
  t.deepEqual(namedRoute(cluster, 0, 5), [
    'node0/gpu0>node0/nic0',
    'node0/nic0>leaf0/node0/nic0',
    'leaf0/node0/nic0>leaf0',
    'leaf0>leaf0/node1/nic1',
    'leaf0/node1/nic1>node1/nic1',
    'node1/nic1>node1/gpu1',
  ]);
  t.deepEqual(namedRoute(cluster, 1, 10), [
    'node0/gpu1>node0/nic1',
    'node0/nic1>leaf0/node0/nic1',
    'leaf0/node0/nic1>leaf0/uplink0',
    'leaf0/uplink0>spine',
    'spine>leaf1/uplink1',
    'leaf1/uplink1>leaf1/node2/nic2',
    'leaf1/node2/nic2>node2/nic2',
    'node2/nic2>node2/gpu2',
  ]);
  t.like(cluster.path(1, 10), { latencyUs: 2 + 5 + 1 + 1 + 5 + 2, bandwidthBytesPerSec: 50e9 });
});

test('with rails, the adapters of a place share a leaf, and only they reach each other without the spine', (t) => {
  const cluster = leafCluster(4, 4, 'rails: true');
  t.true(namedRoute(cluster, 1, 5).includes('leaf0.1>leaf0.1/node1/nic1'));
  t.true(namedRoute(cluster, 1, 6).includes('spine>leaf0.2/uplink1'));
  t.true(namedRoute(cluster, 1, 9).includes('spine>leaf1.1/uplink0'));
});

test('nodes of one leaf need no spine', (t) => {
  const cluster = leafCluster(2, 1, '');
  t.false(cluster.links.some(({ name }) => name.includes('spine') || name.includes('uplink')));
  t.is(cluster.route(0, 7).length, 6);
});

test('an uplink is as fast as the fastest of its ports', (t) => {
  const cluster = parseCluster(
    parse(`
name: mixed
nodes:
  - { count: 2, devices: { count: 1, type: H100 }, intraNode: { kind: nvswitch }, network: { bandwidthGbps: 400, latencyUs: 5 } }
  - { count: 2, devices: { count: 1, type: P100 }, intraNode: { kind: nvswitch }, network: { bandwidthGbps: 100, latencyUs: 5 } }
fabric: { nodesPerLeaf: 3, oversubscription: 2, latencyUs: 1 }
`),
  );
  const uplinks = cluster.links.filter(({ name }) => name.endsWith('>spine'));
  t.deepEqual(
    uplinks.map(({ name, bandwidthBytesPerSec }) => [name, bandwidthBytesPerSec]),
    [
      ['leaf0/uplink0>spine', 50e9],
      ['leaf0/uplink1>spine', 12.5e9],
      ['leaf1/uplink0>spine', 12.5e9],
    ],
  );
  t.is(cluster.path(0, 3).bandwidthBytesPerSec, 12e9, "the P100's PCIe");
});

test('levels of a cluster with leaves are nodes, leaves, the whole', (t) => {
  for (const [adapters, fabric] of [
    [1, ''],
    [4, 'oversubscription: 4'],
    [4, 'rails: true'],
  ] as const) {
    const levels = localityGroups(leafCluster(6, adapters, fabric));
    t.deepEqual(
      levels.map((level) => level.map(({ length }) => length)),
      [[4, 4, 4, 4, 4, 4], [8, 8, 8], [24]],
      `${adapters} ${fabric}`,
    );
  }
});

/** How long transfers of a gigabyte that are all ready at once take, as a multiple of the first alone. */
function slowdown(cluster: Cluster, pairs: readonly (readonly [from: number, to: number])[]): number {
  const bytes = 1e9;
  const transfers = pairs.map(([from, to], key) => {
    const hops = cluster.route(from, to).map((link) => ({
      resource: cluster.devices.length + link,
      holdUs: linkUs(cluster, link, bytes),
      latencyUs: cluster.links[link]!.latencyUs,
    }));
    return { key, durationUs: transferUs(cluster, from, to, bytes), resources: [], hops, predecessors: [] };
  });
  const timeline = simulate(taskGraph(transfers, cluster.devices.length, cluster.links.length));
  return timeline.makespanUs / transfers[0]!.durationUs;
}

test('contention on shared links shows in the timeline', (t) => {
  const acrossLeaves = [
    [0, 8],
    [1, 9],
    [2, 10],
    [3, 11],
  ] as const;
  for (const [what, cluster, pairs, expected] of [
    [
      'pairs below their own PCIe switches',
      presetCluster('k80x4'),
      [
        [0, 1],
        [2, 3],
      ],
      1,
    ],
    [
      'neighbours that leave their PCIe switch',
      presetCluster('k80x4'),
      [
        [0, 2],
        [1, 3],
      ],
      2,
    ],
    [
      'the adapter of a P100 node',
      presetCluster('p100x8'),
      [
        [0, 4],
        [1, 5],
      ],
      2,
    ],
    [
      'both ways at once',
      presetCluster('p100x8'),
      [
        [0, 4],
        [5, 1],
      ],
      1,
    ],
    [
      'the adapter that two V100s share',
      presetCluster('v100x16'),
      [
        [0, 8],
        [1, 9],
      ],
      2,
    ],
    [
      'adapters of two V100s',
      presetCluster('v100x16'),
      [
        [0, 8],
        [2, 10],
      ],
      1,
    ],
    [
      'an adapter for every H100',
      presetCluster('h100x16'),
      [
        [0, 8],
        [1, 9],
      ],
      1,
    ],
    [
      'a GPU that sends twice',
      presetCluster('h100x16'),
      [
        [0, 1],
        [0, 2],
      ],
      2,
    ],
    ['one adapter a node below leaves', leafCluster(4, 1, ''), acrossLeaves, 4],
    ['no oversubscription', leafCluster(4, 4, ''), acrossLeaves, 1],
    ['oversubscription', leafCluster(4, 4, 'oversubscription: 2'), acrossLeaves, 2],
    ['more oversubscription', leafCluster(4, 4, 'oversubscription: 4'), acrossLeaves, 4],
    ['oversubscribed uplinks of rails', leafCluster(4, 4, 'rails: true, oversubscription: 2'), acrossLeaves, 1],
    [
      'within an oversubscribed leaf',
      leafCluster(4, 4, 'oversubscription: 8'),
      [
        [0, 4],
        [1, 5],
      ],
      1,
    ],
  ] as const) {
    t.is(Number(slowdown(cluster, pairs).toFixed(1)), expected, what);
  }
});
