import test from 'ava';
import * as fc from 'fast-check';
import type { Cluster } from '../../soap/cluster/cluster.ts';
import { localityGroups } from '../../soap/cluster/localities.ts';
import { presetCluster } from '../../soap/cluster/presets.ts';
import { createCluster } from '../../soap/cluster/topology.ts';
import { anyCluster } from './clusters.ts';
import { naiveRoutes } from './naive-routes.ts';

const sizes = (cluster: Cluster): number[][] =>
  localityGroups(cluster).map((level) => level.map(({ length }) => length));
const times = (count: number, size: number): number[] => Array.from({ length: count }, () => size);

test('levels are pairs below a switch, nodes, NVLink domains, the whole cluster', (t) => {
  t.deepEqual(sizes(presetCluster('p100x1')), [[1]]);
  t.deepEqual(sizes(presetCluster('localx3')), [[3]]);
  t.deepEqual(sizes(presetCluster('p100x4')), [[4]]);
  t.deepEqual(sizes(presetCluster('p100x12')), [times(3, 4), [12]]);
  t.deepEqual(sizes(presetCluster('k80x8')), [times(4, 2), times(2, 4), [8]]);
  t.deepEqual(sizes(presetCluster('h100x4096')), [times(512, 8), [4096]]);
  t.deepEqual(sizes(presetCluster('gb200x144')), [times(2, 72), [144]]);
  t.deepEqual(localityGroups(presetCluster('k80x4')), [
    [
      [0, 1],
      [2, 3],
    ],
    [[0, 1, 2, 3]],
  ]);
});

test('every level is a partition that the next one coarsens, and the last is the whole cluster', (t) => {
  fc.assert(
    fc.property(anyCluster, (description) => {
      const cluster = createCluster(description);
      const ids = cluster.devices.map(({ id }) => id);
      const levels = localityGroups(cluster);
      t.deepEqual(levels.at(-1), [ids]);
      levels.forEach((level, i) => {
        t.deepEqual(
          level.flat().sort((a, b) => a - b),
          ids,
        );
        const next = levels[i + 1];
        if (next === undefined) return;
        t.true(next.length < level.length);
        for (const group of level) {
          t.true(next.some((wider) => group.every((id) => wider.includes(id))));
        }
      });
    }),
    { numRuns: 500 },
  );
});

/** Groups joined by chains of routes of at most so many hops, for every such number, by asking every route. */
function naiveLevels(cluster: Cluster): number[][][] {
  const { description, devices } = cluster;
  const routes = devices.map(({ id }) => naiveRoutes(description, id));
  const hops = [...new Set(routes.flat().map((route) => route?.length ?? 0))].sort((a, b) => a - b);
  const levels: number[][][] = [];
  for (const most of hops) {
    const groups: number[][] = [];
    for (const { id } of devices) {
      const near = groups.filter((group) => group.some((to) => (routes[id]![to]?.length ?? Infinity) <= most));
      for (const group of near) groups.splice(groups.indexOf(group), 1);
      groups.push([...near.flat(), id].sort((a, b) => a - b));
    }
    if (groups.length < (levels.at(-1)?.length ?? devices.length)) levels.push(groups.sort(([a], [b]) => a! - b!));
  }
  const whole = [devices.map(({ id }) => id)];
  return levels.at(-1)?.length === 1 ? levels : [...levels, whole];
}

test('levels are those found from the hops of all routes', (t) => {
  fc.assert(
    fc.property(anyCluster, (description) => {
      const cluster = createCluster(description);
      t.deepEqual(localityGroups(cluster), naiveLevels(cluster));
    }),
    { numRuns: 1000 },
  );
});
