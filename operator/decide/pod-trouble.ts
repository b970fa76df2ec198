import type { V1Pod } from '@kubernetes/client-node';
import type { Reason } from './reasons.ts';

/** Why a pod does not run, and what to do about it. */
export interface PodTrouble {
  readonly reason: Reason;
  readonly message: string;
}

/** Reasons of a waiting container. Source: kubelet, pkg/kubelet/images/types.go and kuberuntime. */
const WAITING: Readonly<Record<string, readonly [Reason, string]>> = {
  ErrImagePull: ['ImagePullFailed', 'cannot pull its image; see the image name and pull secrets'],
  ImagePullBackOff: ['ImagePullFailed', 'cannot pull its image; see the image name and pull secrets'],
  InvalidImageName: ['ImagePullFailed', 'has an image name that is none; correct it'],
  ErrImageNeverPull: ['ImagePullFailed', 'may not pull its image, and the node lacks it; see imagePullPolicy'],
  CreateContainerConfigError: ['ContainerConfigError', 'names a ConfigMap, Secret or key that does not exist'],
  CreateContainerError: ['ContainerConfigError', 'has a container that cannot be created'],
  RunContainerError: ['ContainerConfigError', 'has a container that cannot be run'],
};

/** What keeps a pod from running, or undefined where it is only young. */
export function podTrouble({ metadata, status }: V1Pod): PodTrouble | undefined {
  const name = metadata?.name ?? '';
  const scheduled = status?.conditions?.find(({ type }) => type === 'PodScheduled');
  if (scheduled?.status === 'False' && scheduled.reason !== 'SchedulingGated') {
    const message = `pod ${name} cannot be scheduled: ${scheduled.message ?? 'no reason given'}`;
    return { reason: 'Unschedulable', message };
  }
  const containers = [...(status?.initContainerStatuses ?? []), ...(status?.containerStatuses ?? [])];
  for (const { state } of containers) {
    const { reason = '', message = reason } = state?.waiting ?? {};
    const known = WAITING[reason];
    if (known !== undefined) return { reason: known[0], message: `pod ${name} ${known[1]}: ${message}` };
  }
  return undefined;
}
