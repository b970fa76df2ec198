/** Every node label that discovery reads. docs/reference/labels.md lists them; a test holds it to this file. */

/** Labels by which an administrator overrules every other source; gigabits per second, each way. */
export const INTRA_NODE_LABEL = 'soapstone.dev/intra-node-bandwidth-gbps';
export const INTER_NODE_LABEL = 'soapstone.dev/inter-node-bandwidth-gbps';

/** Gigabits per second of the fastest adapter, where no better is known. Source: the chart's NodeFeatureRule. */
export const ADAPTER_LABEL = 'soapstone.dev/adapter-bandwidth-gbps';

/** Megabits per second of the whole instance. Sources: Karpenter's AWS provider; EKS Auto Mode. */
export const NETWORK_MEGABITS_LABELS: readonly string[] = [
  'karpenter.k8s.aws/instance-network-bandwidth',
  'eks.amazonaws.com/instance-network-bandwidth',
];

/** `3200G`: gigabits per second. Source: CoreWeave, "InfiniBand and RoCE labels". */
export const COREWEAVE_SPEED_LABEL = 'ib.coreweave.cloud/speed';
export const INSTANCE_TYPE_LABEL = 'node.kubernetes.io/instance-type';
/** The machine's own name for itself, of a cloud the instance type. Source: GPU feature discovery, `p4d.24xlarge` among its examples. */
export const MACHINE_LABEL = 'nvidia.com/gpu.machine';

/** The product, most exact first: device plugins' labellers, then clouds. */
export const PRODUCT_LABELS: readonly string[] = [
  'nvidia.com/gpu.product',
  'amd.com/gpu.product-name',
  'gpu.intel.com/product',
  'gpu.nvidia.com/model',
  'cloud.google.com/gke-accelerator',
  'karpenter.k8s.aws/instance-gpu-name',
  'eks.amazonaws.com/instance-gpu-name',
  'karpenter.azure.com/sku-gpu-name',
];

/** MiB of one GPU. Sources: GPU feature discovery; Karpenter's AWS provider. */
export const MEMORY_MEBIBYTES_LABELS: readonly string[] = [
  'nvidia.com/gpu.memory',
  'karpenter.k8s.aws/instance-gpu-memory',
  'eks.amazonaws.com/instance-gpu-memory',
];
/** `192G`, which ROCm's labeller rounds from GiB. */
export const AMD_MEMORY_LABEL = 'amd.com/gpu.vram';

/** What processor a node has, all three together. Source: NFD, "Features", cpu-model. */
export const CPU_MODEL_LABELS: readonly string[] = ['vendor_id', 'family', 'id'].map(
  (part) => `feature.node.kubernetes.io/cpu-model.${part}`,
);

export const SHARING_LABEL = 'nvidia.com/gpu.sharing-strategy';
export const MIG_STRATEGY_LABEL = 'nvidia.com/mig.strategy';
export const GKE_PARTITION_LABEL = 'cloud.google.com/gke-gpu-partition-size';
export const AMD_PARTITION_LABEL = 'amd.com/gpu.compute-memory-partition';

/** Nodes of one value share an NVSwitch. Sources: GPU feature discovery (internal/lm/imex.go); topograph, now and before 1.0. */
export const NVLINK_DOMAIN_LABELS: readonly string[] = [
  'nvidia.com/gpu.clique',
  'accelerator.topograph.run/sub-domain',
  'accelerator.topograph.run/domain',
  'network.topology.nvidia.com/accelerator',
];

/** Topograph's tiers end with their number; tier 0 is the switch next to the node. */
export const TOPOGRAPH_TIER_PREFIX = 'fabric.topograph.run/tier-';

/** Where nodes are, coarsest level first; the first scheme of which any node has a label is the cluster's. */
export const LOCALITY_SCHEMES: readonly { readonly name: string; readonly levels: readonly string[] }[] = [
  {
    name: 'topograph before 1.0',
    levels: [
      'network.topology.nvidia.com/core',
      'network.topology.nvidia.com/spine',
      'network.topology.nvidia.com/leaf',
    ],
  },
  { name: 'AWS', levels: [1, 2, 3, 4].map((layer) => `topology.k8s.aws/network-node-layer-${layer}`) },
  {
    name: 'GKE',
    levels: ['block', 'subblock', 'host'].map((level) => `cloud.google.com/gce-topology-${level}`),
  },
  { name: 'GKE, older', levels: ['cluster', 'rack', 'host'].map((level) => `topology.gke.io/${level}`) },
  {
    name: 'OCI',
    levels: ['hpc_island_id', 'network_block_id', 'local_block_id'].map((level) => `oci.oraclecloud.com/rdma.${level}`),
  },
  {
    name: 'OCI, hosts',
    levels: ['oci.oraclecloud.com/host.network_block_id', 'oci.oraclecloud.com/host.rack_id'],
  },
  { name: 'CoreWeave', levels: ['backend.coreweave.cloud/fabric', 'backend.coreweave.cloud/leafgroup'] },
  {
    name: 'CoreWeave InfiniBand',
    levels: ['ib.coreweave.cloud/fabric', 'ib.coreweave.cloud/superpod', 'ib.coreweave.cloud/leafgroup'],
  },
];

/** Around every scheme. */
export const ZONE_LABELS: readonly string[] = ['topology.kubernetes.io/region', 'topology.kubernetes.io/zone'];

/** All of them but topograph's tiers and what Topology objects name. */
export const KNOWN_LABELS: ReadonlySet<string> = new Set([
  INTRA_NODE_LABEL,
  INTER_NODE_LABEL,
  ADAPTER_LABEL,
  ...NETWORK_MEGABITS_LABELS,
  COREWEAVE_SPEED_LABEL,
  INSTANCE_TYPE_LABEL,
  MACHINE_LABEL,
  ...PRODUCT_LABELS,
  ...MEMORY_MEBIBYTES_LABELS,
  AMD_MEMORY_LABEL,
  ...CPU_MODEL_LABELS,
  SHARING_LABEL,
  MIG_STRATEGY_LABEL,
  GKE_PARTITION_LABEL,
  AMD_PARTITION_LABEL,
  ...NVLINK_DOMAIN_LABELS,
  ...LOCALITY_SCHEMES.flatMap(({ levels }) => levels),
  ...ZONE_LABELS,
]);
