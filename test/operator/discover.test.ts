import test from 'ava';
import { discoverCluster } from '../../operator/discovery/discover.ts';
import { gpuNode, podOn } from '../support/kubernetes.ts';

const SETTINGS = { resource: 'nvidia.com/gpu', min: 1, max: 16, nodeSelector: {}, tolerations: [] };
const noneOwn = (): boolean => false;

test('a labelled node gives its devices with the numbers of its product, and says where they come from', (t) => {
  const { cluster, sources } = discoverCluster(
    [gpuNode('a', 2, { 'nvidia.com/gpu.memory': '40960' })],
    [],
    SETTINGS,
    noneOwn,
  );
  t.is(cluster.devices.length, 2);
  t.is(cluster.devices[0]?.type, 'A100');
  t.is(cluster.devices[0]?.flopsPerSec, 19.5e12);
  t.is(cluster.devices[0]?.memoryBytes, 40960 * 2 ** 20, 'the label is in MiB');
  t.true(sources.some((line) => line.includes('NVIDIA A100 data sheet')));
});

test('bandwidth labels are gigabits: 100 of them are 12.5 gigabytes a second', (t) => {
  const labels = { 'soapstone.dev/inter-node-bandwidth-gbps': '100', 'soapstone.dev/intra-node-bandwidth-gbps': '400' };
  const { cluster, sources } = discoverCluster([gpuNode('a', 1, labels)], [], SETTINGS, noneOwn);
  const network = cluster.connections.find(({ between }) => between.includes('network'));
  const bus = cluster.connections.find(({ between }) => between.includes('a/0'));
  t.is(network?.bandwidthBytesPerSec, 12.5e9);
  t.is(bus?.bandwidthBytesPerSec, 50e9);
  t.true(sources.some((line) => line.includes('label soapstone.dev/inter-node-bandwidth-gbps=100')));
});

test("Karpenter's network label is megabits", (t) => {
  const node = gpuNode('a', 1, { 'karpenter.k8s.aws/instance-network-bandwidth': '3200000' });
  const { cluster } = discoverCluster([node], [], SETTINGS, noneOwn);
  t.is(cluster.connections.find(({ between }) => between.includes('network'))?.bandwidthBytesPerSec, 400e9);
});

test('labels that are no numbers fall back to the table, and nothing breaks', (t) => {
  for (const value of ['', 'fast', '-1', '0', 'NaN', 'Infinity', '1e999']) {
    const { sources } = discoverCluster(
      [gpuNode('a', 1, { 'soapstone.dev/inter-node-bandwidth-gbps': value })],
      [],
      SETTINGS,
      noneOwn,
    );
    t.true(
      sources.some((line) => line.includes('default: 10 Gb/s')),
      value,
    );
  }
});

test('nodes that cannot be used are left out with the reason', (t) => {
  const notReady = gpuNode('d', 1);
  notReady.status!.conditions = [{ type: 'Ready', status: 'Unknown' }];
  const nodes = [
    gpuNode('a', 1, {}, { unschedulable: true }),
    gpuNode('b', 1, {}, { taints: [{ key: 'dedicated', effect: 'NoSchedule' }] }),
    gpuNode('c', 1, { 'nvidia.com/gpu.sharing-strategy': 'time-slicing' }),
    notReady,
    gpuNode('e', 0),
    gpuNode('f', 1),
  ];
  const { cluster, skipped } = discoverCluster(nodes, [podOn('f', 1, 'Running')], SETTINGS, noneOwn);
  t.is(cluster.devices.length, 0);
  t.deepEqual(skipped, [
    'a: cordoned',
    'b: taint dedicated, which spec.devices.tolerations does not tolerate',
    'c: GPUs are shared (time-slicing); training needs whole ones',
    'd: not ready',
    'e: no allocatable nvidia.com/gpu',
    'f: all 1 nvidia.com/gpu are in use',
  ]);
});

test("finished pods and the job's own do not count as use", (t) => {
  const pods = [podOn('a', 2, 'Succeeded'), podOn('a', 1, 'Running', 'own')];
  const own = (pod: { metadata?: { ownerReferences?: { uid: string }[] } }): boolean =>
    pod.metadata?.ownerReferences?.some(({ uid }) => uid === 'own') ?? false;
  t.is(discoverCluster([gpuNode('a', 2)], pods, SETTINGS, own).cluster.devices.length, 2);
});

test('nodes with more free devices come first, at most as many as asked', (t) => {
  const { cluster } = discoverCluster(
    [gpuNode('b', 1), gpuNode('c', 4), gpuNode('a', 1)],
    [],
    { ...SETTINGS, max: 5 },
    noneOwn,
  );
  t.deepEqual(
    cluster.devices.map(({ name }) => name),
    ['c/0', 'c/1', 'c/2', 'c/3', 'a/0'],
  );
});

test('of devices of several kinds those are chosen that are fastest together; a step waits for its slowest', (t) => {
  const kind = (name: string, gpus: number, product: string): ReturnType<typeof gpuNode> =>
    gpuNode(name, gpus, { 'nvidia.com/gpu.product': product });
  const k80s = [kind('a', 4, 'Tesla-K80'), kind('b', 4, 'Tesla-K80')];
  const h100s = [kind('x', 1, 'NVIDIA-H100-80GB-HBM3'), kind('y', 1, 'NVIDIA-H100-80GB-HBM3')];
  const chosen = (nodes: readonly ReturnType<typeof gpuNode>[], min: number, max: number): string[] =>
    discoverCluster(nodes, [], { ...SETTINGS, min, max }, noneOwn).cluster.devices.map(({ name }) => name);
  t.deepEqual(chosen([...k80s, ...h100s], 1, 2), ['x/0', 'y/0'], 'though the others have more in one node');
  t.deepEqual(chosen([...k80s, ...h100s], 1, 8), ['x/0', 'y/0'], '2 x 67 are more than 8 x 2.8 teraflops');
  t.is(chosen([...k80s, ...h100s], 4, 8).length, 8, 'two are fewer than min');
  const similar = [kind('x', 4, 'NVIDIA-A100-SXM4-80GB'), kind('y', 4, 'NVIDIA-L4')];
  t.is(chosen(similar, 1, 8).length, 8, '8 x 19.5 are more than 4 x 30.3 teraflops');
});
