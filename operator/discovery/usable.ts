import type { V1Node, V1Taint } from '@kubernetes/client-node';
import type { DeviceSettings } from '../../soap/job/training-job.ts';
import { CORE_RESOURCE } from './cores.ts';
import {
  AMD_PARTITION_LABEL,
  GKE_PARTITION_LABEL,
  MIG_STRATEGY_LABEL,
  PRODUCT_LABELS,
  SHARING_LABEL,
} from './labels.ts';

/** Why a job's pods cannot have a node's devices, whoever uses them now; undefined where they can. */
export function unusable(node: V1Node, { resource, nodeSelector, tolerations }: DeviceSettings): string | undefined {
  const labels = node.metadata?.labels ?? {};
  if (Object.entries(nodeSelector).some(([key, value]) => labels[key] !== value))
    return 'not selected by spec.devices.nodeSelector';
  if (node.metadata?.deletionTimestamp !== undefined) return 'being deleted';
  if (node.spec?.unschedulable === true) return 'cordoned';
  const ready = node.status?.conditions?.find(({ type }) => type === 'Ready');
  if (ready !== undefined && ready.status !== 'True') return 'not ready';
  const taint = node.spec?.taints?.find((each) => repels(each) && !tolerations.some((one) => tolerates(one, each)));
  if (taint !== undefined) return `taint ${taint.key}, which spec.devices.tolerations does not tolerate`;
  return resource === CORE_RESOURCE ? undefined : sharing(labels);
}

/** Whether a resource counts slices of GPUs. Source: NVIDIA's device plugin, MIG strategy `mixed`: `nvidia.com/mig-1g.10gb`. */
export function isMigResource(resource: string): boolean {
  return resource.startsWith('nvidia.com/mig-');
}

function repels({ effect }: V1Taint): boolean {
  return effect === 'NoSchedule' || effect === 'NoExecute';
}

/** Source: Kubernetes, "Taints and tolerations": an empty key with `Exists` matches all, an empty effect every effect. */
function tolerates(toleration: Readonly<Record<string, unknown>>, taint: V1Taint): boolean {
  const { key = '', operator = 'Equal', value = '', effect = '' } = toleration;
  if (effect !== '' && effect !== taint.effect) return false;
  if (key === '') return operator === 'Exists';
  return key === taint.key && (operator === 'Exists' || value === (taint.value ?? ''));
}

/** Why the devices are not whole ones. Source: GPU feature discovery's labels for time-slicing, MPS and MIG; ROCm's; GKE's. */
function sharing(labels: Readonly<Record<string, string>>): string | undefined {
  const strategy = labels[SHARING_LABEL];
  if (strategy !== undefined && strategy !== 'none' && strategy !== '')
    return `GPUs are shared (${strategy}); training needs whole ones`;
  const product = PRODUCT_LABELS.map((label) => labels[label]).find((text) => text !== undefined) ?? '';
  if (product.endsWith('-SHARED')) return 'GPUs are shared (time-slicing); training needs whole ones';
  if (/-MIG-\d/.test(product)) return `GPUs are cut into MIG devices (${product}); training needs whole ones`;
  if (labels[MIG_STRATEGY_LABEL] === 'single' && product.endsWith('-MIG-INVALID'))
    return 'GPUs are cut into MIG devices of several sizes; training needs whole ones';
  const partition = labels[GKE_PARTITION_LABEL];
  if (partition !== undefined) return `GPUs are cut into MIG devices (${partition}); training needs whole ones`;
  const amd = labels[AMD_PARTITION_LABEL];
  if (amd !== undefined && !amd.toLowerCase().startsWith('spx'))
    return `GPUs are partitioned (${amd}); training needs whole ones`;
  return undefined;
}
