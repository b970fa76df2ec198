import { readFile } from 'node:fs/promises';
import type { V1Container, V1Node, V1Pod, V1ResourceSlice } from '@kubernetes/client-node';
import test from 'ava';
import fc from 'fast-check';
import type { ClusterObjects, Discovery } from '../../operator/discovery/discover.ts';
import { discoverCluster } from '../../operator/discovery/discover.ts';
import { KNOWN_LABELS } from '../../operator/discovery/labels.ts';
import { podRequest } from '../../operator/discovery/requests.ts';
import { createCluster } from '../../soap/cluster/topology.ts';
import { quantityBytes, suffixedGigabitsPerSec } from '../../soap/cluster/units.ts';

const NONE: ClusterObjects = { slices: [], claims: [], topologies: [], features: [] };
type Labels = Readonly<Record<string, string>>;

function node(
  name: string,
  labels: Labels,
  allocatable: Labels = { 'nvidia.com/gpu': '8' },
  spec: V1Node['spec'] = {},
): V1Node {
  return { metadata: { name, labels }, spec, status: { allocatable, conditions: [{ type: 'Ready', status: 'True' }] } };
}

function discover(
  nodes: V1Node[],
  options: {
    resource?: string;
    max?: number;
    tolerations?: Record<string, unknown>[];
    objects?: Partial<ClusterObjects>;
  } = {},
): Discovery {
  const { resource = 'nvidia.com/gpu', max = 64, tolerations = [], objects } = options;
  const settings = { resource, min: 1, max, nodeSelector: {}, tolerations };
  return discoverCluster(nodes, [], settings, () => false, { ...NONE, ...objects });
}

const uplink = ({ cluster }: Discovery): number =>
  cluster.connections.find(({ between }) => between[1] === 'network')!.bandwidthBytesPerSec;

/** Labels as the labellers document them, and what one device and its wires are by data sheet, each way. */
const PRODUCTS: Record<string, { labels: Labels; resource?: string; type: string; gib: number; deviceWire: number }> = {
  "GPU feature discovery's README: Tesla T4": {
    labels: {
      'nvidia.com/gpu.product': 'Tesla-T4',
      'nvidia.com/gpu.memory': '15360',
      'nvidia.com/gpu.count': '8',
      'nvidia.com/gpu.replicas': '1',
      'nvidia.com/gpu.sharing-strategy': 'none',
      'nvidia.com/gfd.timestamp': '1724632719',
    },
    type: 'T4',
    gib: 15,
    deviceWire: 12e9,
  },
  'HGX A100': {
    labels: { 'nvidia.com/gpu.product': 'NVIDIA-A100-SXM4-80GB', 'nvidia.com/gpu.memory': '81920' },
    type: 'A100',
    gib: 80,
    deviceWire: 300e9,
  },
  'A100 in PCIe slots has no NVSwitch': {
    labels: { 'nvidia.com/gpu.product': 'A100-PCIE-40GB' },
    type: 'A100',
    gib: 40,
    deviceWire: 25e9,
  },
  'HGX H100': {
    labels: { 'nvidia.com/gpu.product': 'NVIDIA-H100-80GB-HBM3' },
    type: 'H100',
    gib: 80,
    deviceWire: 450e9,
  },
  'GKE without GPU feature discovery': {
    labels: { 'cloud.google.com/gke-accelerator': 'nvidia-h100-80gb' },
    type: 'H100',
    gib: 80,
    deviceWire: 450e9,
  },
  'Karpenter without GPU feature discovery': {
    labels: { 'karpenter.k8s.aws/instance-gpu-name': 'h100', 'karpenter.k8s.aws/instance-gpu-memory': '81920' },
    type: 'H100',
    gib: 80,
    deviceWire: 450e9,
  },
  'GKE, A2': {
    labels: { 'cloud.google.com/gke-accelerator': 'nvidia-tesla-a100' },
    type: 'A100',
    gib: 40,
    deviceWire: 300e9,
  },
  'GKE, A2 Ultra': {
    labels: { 'cloud.google.com/gke-accelerator': 'nvidia-a100-80gb' },
    type: 'A100',
    gib: 80,
    deviceWire: 300e9,
  },
  'Karpenter, p3.16xlarge: the cube mesh of eight V100': {
    labels: { 'karpenter.k8s.aws/instance-gpu-name': 'v100', 'karpenter.k8s.aws/instance-gpu-memory': '16384' },
    type: 'V100',
    gib: 16,
    deviceWire: 25e9,
  },
  'EKS Auto Mode, p4de.24xlarge': {
    labels: { 'eks.amazonaws.com/instance-gpu-name': 'a100', 'eks.amazonaws.com/instance-gpu-memory': '81920' },
    type: 'A100',
    gib: 80,
    deviceWire: 300e9,
  },
  'AKS, ND A100 v4': {
    labels: {
      'karpenter.azure.com/sku-gpu-name': 'A100',
      'node.kubernetes.io/instance-type': 'Standard_ND96asr_v4',
    },
    type: 'A100',
    gib: 40,
    deviceWire: 300e9,
  },
  'AKS, NC A100 v4 has cards': {
    labels: {
      'karpenter.azure.com/sku-gpu-name': 'A100',
      'node.kubernetes.io/instance-type': 'Standard_NC96ads_A100_v4',
    },
    type: 'A100',
    gib: 40,
    deviceWire: 25e9,
  },
  'GKE, P100 are cards': {
    labels: { 'cloud.google.com/gke-accelerator': 'nvidia-tesla-p100' },
    type: 'P100',
    gib: 16,
    deviceWire: 12e9,
  },
  'CoreWeave names the link': {
    labels: { 'gpu.nvidia.com/model': 'A100_NVLINK_80GB' },
    type: 'A100',
    gib: 80,
    deviceWire: 300e9,
  },
  'ROCm node labeller': {
    labels: {
      'amd.com/gpu.product-name': 'AMD_Instinct_MI300X_OAM',
      'amd.com/gpu.vram': '192G',
      'amd.com/gpu.compute-memory-partition': 'spx_nps1',
    },
    resource: 'amd.com/gpu',
    type: 'MI300X',
    gib: 192,
    deviceWire: 64e9,
  },
  'Intel labeller': {
    labels: { 'gpu.intel.com/product': 'Max_1550', 'gpu.intel.com/family': 'Max_Series' },
    resource: 'gpu.intel.com/i915',
    type: 'Max_1550',
    gib: 128,
    deviceWire: 52e9,
  },
};

for (const [name, { labels, resource = 'nvidia.com/gpu', type, gib, deviceWire }] of Object.entries(PRODUCTS)) {
  test(`a product by its labels: ${name}`, (t) => {
    const { cluster, sources } = discover([node('a', labels, { [resource]: '8' })], { resource });
    const [device] = cluster.devices;
    t.is(cluster.devices.length, 8);
    t.is(device?.type, type);
    t.is(device?.memoryBytes, gib * 2 ** 30);
    t.is(cluster.connections.find(({ between }) => between[0] === 'a/0')?.bandwidthBytesPerSec, deviceWire);
    t.regex(sources.join('\n'), /label (nvidia|amd|gpu\.(intel|nvidia)|cloud|karpenter|eks)/);
  });
}

/** 3200 Gb/s are 400 GB/s, whatever unit the label has. */
const NETWORKS: Record<string, { labels: Labels; speed: number; source: RegExp }> = {
  'our label, gigabits': {
    labels: { 'soapstone.dev/inter-node-bandwidth-gbps': '3200' },
    speed: 400e9,
    source: /label soapstone/,
  },
  'Karpenter, megabits': {
    labels: { 'karpenter.k8s.aws/instance-network-bandwidth': '3200000' },
    speed: 400e9,
    source: /label karpenter/,
  },
  'EKS Auto Mode, megabits': {
    labels: { 'eks.amazonaws.com/instance-network-bandwidth': '3200000' },
    speed: 400e9,
    source: /label eks/,
  },
  'CoreWeave, gigabits with G': {
    labels: { 'ib.coreweave.cloud/speed': '3200G' },
    speed: 400e9,
    source: /label ib.coreweave/,
  },
  'CoreWeave, link down': { labels: { 'ib.coreweave.cloud/speed': '0G' }, speed: 1.25e9, source: /default: 10 Gb/ },
  'instance type, gigabits': {
    labels: { 'node.kubernetes.io/instance-type': 'p5.48xlarge' },
    speed: 400e9,
    source: /table: instance type p5/,
  },
  "the machine's name, where it is an instance type": {
    labels: { 'nvidia.com/gpu.machine': 'p4d.24xlarge' },
    speed: 50e9,
    source: /table: instance type p4d/,
  },
  "a machine's name that is none": { labels: { 'nvidia.com/gpu.machine': 'DGX-1' }, speed: 1.25e9, source: /default/ },
  'G6e, which Karpenter has in megabits': {
    labels: { 'node.kubernetes.io/instance-type': 'g6e.48xlarge' },
    speed: 50e9,
    source: /400 Gb\/s/,
  },
  'an instance type that is no own property': {
    labels: { 'node.kubernetes.io/instance-type': 'constructor' },
    speed: 1.25e9,
    source: /default/,
  },
  'our label before the others': {
    labels: {
      'soapstone.dev/inter-node-bandwidth-gbps': '8',
      'ib.coreweave.cloud/speed': '3200G',
      'node.kubernetes.io/instance-type': 'p5.48xlarge',
    },
    speed: 1e9,
    source: /label soapstone/,
  },
};

for (const [name, { labels, speed, source }] of Object.entries(NETWORKS)) {
  test(`network bandwidth by ${name}`, (t) => {
    const found = discover([node('a', labels)]);
    t.is(uplink(found), speed);
    t.regex(found.sources.join('\n'), source);
  });
}

test("NFD's adapters are megabits; those that are down or slower do not count", (t) => {
  const adapter = (speed: string, operstate: string): { attributes: Labels } => ({ attributes: { speed, operstate } });
  const elements = [adapter('400000', 'up'), adapter('400000', 'up'), adapter('400000', 'down'), adapter('1000', 'up')];
  const features = [{ metadata: { name: 'a' }, spec: { features: { instances: { 'network.device': { elements } } } } }];
  const found = discover([node('a', {})], { objects: { features } });
  t.is(uplink(found), 100e9);
  t.regex(found.sources.join('\n'), /NodeFeature network\.device: 2 x 400000 Mb\/s/);

  // GPU feature discovery writes an object of its own for the node.
  const others = { metadata: { name: 'nvidia-features-for-a', labels: { 'nfd.node.kubernetes.io/node-name': 'a' } } };
  for (const objects of [
    [...features, others],
    [others, ...features],
  ])
    t.is(uplink(discover([node('a', {})], { objects: { features: objects } })), 100e9);

  const labelled = node('a', { 'soapstone.dev/adapter-bandwidth-gbps': '400' });
  t.is(uplink(discover([labelled])), 50e9, 'one adapter, where no better is known');
  t.is(uplink(discover([labelled], { objects: { features } })), 100e9);
});

test('slices of GPUs are no devices to train on, whatever the resource is called', (t) => {
  const resource = 'nvidia.com/mig-1g.10gb';
  const cut = node('a', { 'nvidia.com/gpu.product': 'NVIDIA-A100-SXM4-80GB' }, { [resource]: '7' });
  const { cluster, skipped } = discover([cut], { resource });
  t.is(cluster.devices.length, 0);
  t.regex(JSON.stringify(skipped), /nvidia\.com\/mig-1g\.10gb are parts of GPUs; training needs whole ones/);
});

test('quantities and speeds that are none are undefined', (t) => {
  t.is(quantityBytes('81559Mi'), 81559 * 2 ** 20);
  t.is(quantityBytes('16G'), 16e9);
  for (const text of ['', '-1', '1e3', '5Q', 'Mi', '0', `${'9'.repeat(400)}Ti`])
    t.is(quantityBytes(text), undefined, text);
  for (const text of ['', 'G', '0G', '3200', '3200GB', '-5G']) t.is(suffixedGigabitsPerSec(text), undefined, text);
});

/** Two nodes of one rack, one of another; the schemes' own keys. */
const SCHEMES: Record<string, readonly string[]> = {
  topograph: ['fabric.topograph.run/tier-1', 'fabric.topograph.run/tier-0'],
  'topograph before 1.0': ['network.topology.nvidia.com/spine', 'network.topology.nvidia.com/leaf'],
  AWS: ['topology.k8s.aws/network-node-layer-1', 'topology.k8s.aws/network-node-layer-3'],
  GKE: ['cloud.google.com/gce-topology-block', 'cloud.google.com/gce-topology-subblock'],
  OCI: ['oci.oraclecloud.com/rdma.network_block_id', 'oci.oraclecloud.com/rdma.local_block_id'],
  CoreWeave: ['backend.coreweave.cloud/fabric', 'backend.coreweave.cloud/leafgroup'],
  zones: ['topology.kubernetes.io/region', 'topology.kubernetes.io/zone'],
};

for (const [name, [outer = '', inner = '']] of Object.entries(SCHEMES)) {
  test(`locality by ${name}: nodes of one domain are chosen together, and are fewer hops apart`, (t) => {
    const at = (host: string, ...[first = '', second = '']: string[]): V1Node =>
      node(host, { [outer]: first, [inner]: second });
    // The same rack name in two blocks is two racks.
    const nodes = [at('a', 'one', 'r1'), at('b', 'two', 'r1'), at('c', 'one', 'r2'), at('d', 'two', 'r1')];
    const some = discover(nodes, { max: 16 });
    t.deepEqual([...new Set(some.cluster.devices.map((device) => device.node))], ['b', 'd']);
    const all = createCluster(discover(nodes).cluster);
    const first = (host: string): number => all.devices.find((device) => device.node === host)!.id;
    t.true(all.route(first('b'), first('d')).length < all.route(first('b'), first('a')).length);
    t.regex(some.sources.join('\n'), new RegExp(`locality: ${name}`));
  });
}

test("Kueue's Topology goes before every other scheme", (t) => {
  const rack = (host: string, ours: string, theirs: string): V1Node =>
    node(host, { 'example.com/rack': ours, 'backend.coreweave.cloud/leafgroup': theirs });
  const topologies = [
    {
      metadata: { name: 'default' },
      spec: { levels: [{ nodeLabel: 'example.com/rack' }, { nodeLabel: 'kubernetes.io/hostname' }] },
    },
  ];
  const nodes = [rack('a', '1', 'x'), rack('b', '2', 'x'), rack('c', '2', 'y')];
  const { cluster, sources } = discover(nodes, { max: 16, objects: { topologies } });
  t.deepEqual([...new Set(cluster.devices.map((device) => device.node))], ['b', 'c']);
  t.true(sources.includes('locality: Kueue Topology default'));
});

test('nodes of one clique share an NVSwitch', (t) => {
  const labels = {
    'nvidia.com/gpu.product': 'NVIDIA-GB200',
    'nvidia.com/gpu.clique': '7b968a6d-c8aa-45e1-9e07-e1e51be99c31.1',
  };
  const cluster = createCluster(discover([node('a', labels), node('b', labels)]).cluster);
  t.is(cluster.path(0, 8).bandwidthBytesPerSec, 900e9);
  t.is(cluster.route(0, 8).length, 2);
});

const LEFT_OUT: Record<string, { labels?: Labels; spec?: V1Node['spec']; reason: RegExp }> = {
  'GPU feature discovery, time-slicing': {
    labels: { 'nvidia.com/gpu.product': 'Tesla-T4-SHARED' },
    reason: /shared \(time-slicing\)/,
  },
  'GPU feature discovery, MIG single': {
    labels: { 'nvidia.com/gpu.product': 'A100-SXM4-40GB-MIG-1g.5gb' },
    reason: /MIG/,
  },
  MPS: { labels: { 'nvidia.com/gpu.sharing-strategy': 'mps' }, reason: /shared \(mps\)/ },
  'GKE partition': {
    labels: { 'cloud.google.com/gke-gpu-partition-size': '1g.5gb' },
    reason: /MIG devices \(1g\.5gb\)/,
  },
  'AMD partition': { labels: { 'amd.com/gpu.compute-memory-partition': 'cpx_nps4' }, reason: /partitioned/ },
  'a taint of another value': {
    spec: { taints: [{ key: 'team', value: 'b', effect: 'NoSchedule' }] },
    reason: /taint team/,
  },
};
for (const [name, { labels = {}, spec = {}, reason }] of Object.entries(LEFT_OUT)) {
  test(`left out with a reason: ${name}`, (t) => {
    const { cluster, skipped } = discover([node('a', labels, { 'nvidia.com/gpu': '8' }, spec)], {
      tolerations: [{ key: 'team', operator: 'Equal', value: 'a' }],
    });
    t.is(cluster.devices.length, 0);
    t.regex(skipped.join('\n'), reason);
  });
}

test('tolerations match as Kubernetes matches them', (t) => {
  const tainted = node(
    'a',
    {},
    { 'nvidia.com/gpu': '1' },
    { taints: [{ key: 'team', value: 'a', effect: 'NoSchedule' }] },
  );
  const usable = (toleration: Record<string, unknown>): boolean =>
    discover([tainted], { tolerations: [toleration] }).cluster.devices.length === 1;
  t.true(usable({ operator: 'Exists' }));
  t.true(usable({ key: 'team', operator: 'Exists' }));
  t.true(usable({ key: 'team', value: 'a', effect: 'NoSchedule' }));
  t.false(usable({ key: 'team', value: 'b' }));
  t.false(usable({ key: 'team', operator: 'Exists', effect: 'NoExecute' }));
  t.false(usable({ key: 'other', operator: 'Exists' }));
});

test('a thousand nodes with one reason are one line', (t) => {
  const { skipped } = discover(Array.from({ length: 1000 }, (_, i) => node(`n${i}`, {}, {})));
  t.deepEqual(skipped, ['n0, n1, n2 and 997 more: no allocatable nvidia.com/gpu']);
});

function slice(name: string, generation: number, devices: string[]): V1ResourceSlice {
  return {
    metadata: { name },
    spec: {
      driver: 'gpu.nvidia.com',
      nodeName: 'a',
      pool: { name: 'a', generation, resourceSliceCount: 1 },
      devices: devices.map((device) => ({
        name: device,
        attributes: { type: { string: 'gpu' }, productName: { string: 'NVIDIA H100 80GB HBM3' } },
        capacity: { memory: { value: '81559Mi' } },
      })),
    },
  };
}

test('ResourceSlices tell of devices that allocatable lacks, less what claims hold; old generations do not count', (t) => {
  const slices = [slice('old', 1, ['gpu-0', 'gpu-1', 'gpu-2', 'gpu-3']), slice('new', 2, ['gpu-0', 'gpu-1', 'gpu-2'])];
  const claims = [
    {
      spec: {},
      status: {
        allocation: { devices: { results: [{ driver: 'gpu.nvidia.com', pool: 'a', device: 'gpu-0', request: 'r' }] } },
      },
    },
  ];
  const { cluster, sources } = discover([node('a', {}, {})], { objects: { slices, claims } });
  t.is(cluster.devices.length, 2);
  t.is(cluster.devices[0]?.type, 'H100');
  t.is(cluster.devices[0]?.memoryBytes, 81559 * 2 ** 20);
  t.regex(sources.join('\n'), /ResourceSlice productName/);
});

test('a pod holds the most that its containers ask for at once, and its overhead', (t) => {
  const asks = (count: number, restartPolicy?: string): V1Container => ({
    name: 'c',
    ...(restartPolicy === undefined ? {} : { restartPolicy }),
    resources: { requests: { 'nvidia.com/gpu': String(count) } },
  });
  const pod = (initContainers: V1Container[], containers: V1Container[], overhead: Labels = {}): V1Pod => ({
    spec: { initContainers, containers, overhead },
  });
  const cases: [V1Pod, number][] = [
    [pod([], [asks(1), asks(2)]), 3],
    [pod([asks(5)], [asks(1)]), 5],
    [pod([asks(1, 'Always'), asks(2)], [asks(1)]), 3],
    [pod([asks(2), asks(1, 'Always')], [asks(3)]), 4],
    [pod([], [asks(1)], { 'nvidia.com/gpu': '1' }), 2],
    [{ spec: { containers: [{ name: 'c', resources: { limits: { 'nvidia.com/gpu': '4' } } }] } }, 4],
    [{}, 0],
  ];
  for (const [each, count] of cases) t.is(podRequest(each, 'nvidia.com/gpu'), count);
});

test('whatever labels nodes carry, discovery answers, and its clusters are connected', (t) => {
  const key = fc.oneof(
    fc.constantFrom(...KNOWN_LABELS, 'fabric.topograph.run/tier-1', '__proto__', 'constructor'),
    fc.string(),
  );
  const value = fc.oneof(
    fc.string(),
    fc.constantFrom('8', '-1', '1e999', '3200G', 'NVIDIA-H100-80GB-HBM3', 'none', '__proto__'),
  );
  const one = fc.record({ labels: fc.dictionary(key, value), gpus: fc.oneof(fc.nat(16).map(String), fc.string()) });
  fc.assert(
    fc.property(fc.array(one, { maxLength: 6 }), (nodes) => {
      const { cluster } = discover(
        nodes.map(({ labels, gpus }, i) => node(`n${i}`, labels, { 'nvidia.com/gpu': gpus })),
      );
      const made = createCluster(cluster);
      for (const { id } of made.devices) t.true(made.path(0, id).bandwidthBytesPerSec > 0);
    }),
    { numRuns: 200 },
  );
});

test('docs/reference/labels.md names every label that is read, and no other', async (t) => {
  const page = await readFile(new URL('../../docs/reference/labels.md', import.meta.url), 'utf8');
  const named = new Set([...page.matchAll(/`([a-z0-9.-]+\/[A-Za-z0-9._-]+)`/g)].map(([, label]) => label!));
  t.deepEqual([...named].toSorted(), [...KNOWN_LABELS].toSorted());
});
