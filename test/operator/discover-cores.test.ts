import type { V1Pod } from '@kubernetes/client-node';
import test from 'ava';
import type { Discovery } from '../../operator/discovery/discover.ts';
import { discoverCluster } from '../../operator/discovery/discover.ts';
import { createCluster } from '../../soap/cluster/topology.ts';
import { coreNode, gpuNode, podOn } from '../support/kubernetes.ts';

const SETTINGS = { resource: 'cpu', min: 1, max: 16, nodeSelector: {}, tolerations: [] };

function discover(nodes: Parameters<typeof discoverCluster>[0], pods: readonly V1Pod[] = [], max = 16): Discovery {
  return discoverCluster(nodes, pods, { ...SETTINGS, max }, () => false);
}

function holding(node: string, cpu: string, overhead?: string): V1Pod {
  const spec = {
    nodeName: node,
    containers: [{ name: 'c', resources: { requests: { cpu }, limits: { cpu: '64' } } }],
    ...(overhead !== undefined && { overhead: { cpu: overhead } }),
  };
  return { metadata: { name: `holds-${node}`, namespace: 'default' }, spec, status: { phase: 'Running' } };
}

const namesOf = ({ cluster }: Discovery): string[] => cluster.devices.map(({ name }) => name);

test('where a job asks for cpu, each whole core of a node that no pod asked for is a device', (t) => {
  t.deepEqual(namesOf(discover([coreNode('a', '2')])), ['a/0', 'a/1']);
  const cases: [allocatable: string, requests: readonly string[], free: number][] = [
    ['3920m', [], 3],
    ['3920m', ['100m', '750m'], 3],
    ['3920m', ['100m', '850m'], 2],
    ['4', Array.from({ length: 10 }, () => '100m'), 3],
    ['4', ['1.5'], 2],
    ['4', ['1', '250m'], 2],
    ['1k', ['990'], 10],
    ['4', ['none', ''], 4],
  ];
  for (const [allocatable, requests, free] of cases) {
    const pods = requests.map((cpu) => holding('a', cpu));
    t.is(namesOf(discover([coreNode('a', allocatable)], pods)).length, free, `${allocatable} less ${requests.join()}`);
  }
  const full = discover([coreNode('a', '2')], [holding('a', '1', '500m')], 16);
  t.deepEqual([namesOf(full), full.skipped], [[], ['a: pods ask for 1.5 of 2 cpu']]);
  t.deepEqual(discover([coreNode('a', '500m')]).skipped, ['a: no allocatable cpu']);
});

test('cores share their memory, and a type of their own where a label names the machine or its processor', (t) => {
  const nfd = { vendor_id: 'Intel', family: '6', id: '143' };
  const nodes = [
    coreNode('a', '4', { 'node.kubernetes.io/instance-type': 'c7i.xlarge' }),
    coreNode(
      'b',
      '4',
      Object.fromEntries(Object.entries(nfd).map(([k, v]) => [`feature.node.kubernetes.io/cpu-model.${k}`, v])),
    ),
    coreNode('c', '4', { 'feature.node.kubernetes.io/cpu-model.family': '6' }),
  ];
  const { cluster, sources } = discover(nodes);
  t.deepEqual([...new Set(cluster.devices.map(({ type }) => type))], ['cpu c7i.xlarge', 'cpu Intel-6-143', 'cpu']);
  t.true(cluster.devices.every(({ memoryBytes }) => memoryBytes === 4 * 2 ** 30));
  t.true(sources.some((line) => line.includes('processor by label node.kubernetes.io/instance-type')));
  const unsized = coreNode('d', '2');
  delete unsized.status!.allocatable!['memory'];
  t.regex(discover([unsized]).sources.join(), /default: 8 GiB a core/);
});

test('cores of a node talk through its memory, those of others over the network', (t) => {
  const { cluster } = discover([
    coreNode('a', '2'),
    coreNode('b', '2', { 'soapstone.dev/inter-node-bandwidth-gbps': '25' }),
  ]);
  const built = createCluster(cluster);
  t.is(built.devices.length, 4);
  const speeds = new Map(
    cluster.connections.map(({ between, bandwidthBytesPerSec }) => [between.join(), bandwidthBytesPerSec]),
  );
  t.is(speeds.get('a/0,a/host'), 3e9);
  t.is(speeds.get('b/host,network'), 25e9 / 8);
});

test('what GPUs of a node are shared or used by does not concern its cores', (t) => {
  const node = gpuNode('a', 1, { 'nvidia.com/gpu.sharing-strategy': 'time-slicing' });
  node.status!.allocatable!['cpu'] = '2';
  const { cluster, skipped } = discover([node], [podOn('a', 1, 'Running')]);
  t.deepEqual([cluster.devices.map(({ type }) => type), skipped], [['cpu', 'cpu'], []]);
});
