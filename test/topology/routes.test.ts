import test from 'ava';
import * as fc from 'fast-check';
import { presetCluster } from '../../soap/cluster/presets.ts';
import { createCluster } from '../../soap/cluster/topology.ts';
import { transferUs } from '../../soap/tasks/transfer-time.ts';
import { anyCluster } from './clusters.ts';
import { naiveRoutes } from './naive-routes.ts';

test('routes are those of the naive search, from ring to ring by name', (t) => {
  fc.assert(
    fc.property(anyCluster, (description) => {
      const cluster = createCluster(description);
      for (const { id: from } of cluster.devices) {
        naiveRoutes(description, from).forEach((route, to) => {
          if (route === undefined) t.throws(() => cluster.route(from, to), { instanceOf: RangeError });
          else t.deepEqual(cluster.route(from, to), route);
        });
      }
    }),
    { numRuns: 1000 },
  );
});

test('routes of a preset are those of the naive search', (t) => {
  for (const name of ['k80x12', 'p100x12', 'v100x16', 'h100x24']) {
    const cluster = presetCluster(name);
    for (const { id } of cluster.devices) {
      const routes = cluster.devices.map(({ id: to }) => cluster.route(id, to));
      t.deepEqual(routes, naiveRoutes(cluster.description, id), `${name} from ${id}`);
    }
  }
});

test('a path has the latencies and the smallest bandwidth of its route, and times a transfer', (t) => {
  const cluster = presetCluster('k80x8');
  for (const [from, to, latencyUs, bandwidthBytesPerSec] of [
    [0, 0, 0, Infinity],
    [0, 1, 4, 12e9],
    [0, 7, 22, 7e9],
  ] as const) {
    t.like(cluster.path(from, to), { latencyUs, bandwidthBytesPerSec });
    t.is(transferUs(cluster, from, to, 1e6), latencyUs + (1e6 / bandwidthBytesPerSec) * 1e6);
  }
});

test('a device that there is not is refused, in place of another pair', (t) => {
  const cluster = presetCluster('p100x4');
  cluster.route(1, 0);
  for (const [from, to, got] of [
    [0, 4, 4],
    [-1, 0, -1],
    [0.5, 2, 0.5],
  ] as const) {
    const message = `cluster 'p100x4' has no device ${got}; expected 0 to 3`;
    t.throws(() => cluster.route(from, to), { instanceOf: RangeError, message });
    t.throws(() => cluster.path(from, to), { instanceOf: RangeError, message });
  }
});

test('routes between many pairs of many devices stay right when the kept ones are forgotten', (t) => {
  const cluster = presetCluster('h100x1024');
  const routes = cluster.devices.map(({ id }) => cluster.route(0, id));
  for (let from = 1; from < 400; from++) for (let to = 0; to < 1024; to++) cluster.route(from, to);
  const again = cluster.devices.map(({ id }) => cluster.route(0, id));
  t.true(again.filter((route, to) => route !== routes[to]).length > 100, 'they were forgotten');
  t.deepEqual(again, routes);
});
