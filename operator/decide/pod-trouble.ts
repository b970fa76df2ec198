import type { V1Pod } from '@kubernetes/client-node';

/** Why a pod does not run, and what to do about it. */
export interface PodTrouble {
  readonly reason: string;
  readonly message: string;
}

const IMAGE_REASONS = new Set(['ErrImagePull', 'ImagePullBackOff', 'InvalidImageName', 'ErrImageNeverPull']);

/** What keeps a pod from running, or undefined where it is only young. */
export function podTrouble(pod: V1Pod): PodTrouble | undefined {
  const name = pod.metadata?.name ?? '';
  const scheduled = pod.status?.conditions?.find(({ type }) => type === 'PodScheduled');
  if (scheduled?.status === 'False') {
    return {
      reason: 'Unschedulable',
      message: `pod ${name} cannot be scheduled: ${scheduled.message ?? 'no reason given'}`,
    };
  }
  const waiting = pod.status?.containerStatuses?.[0]?.state?.waiting;
  if (waiting?.reason !== undefined && IMAGE_REASONS.has(waiting.reason)) {
    const message = `pod ${name} cannot pull its image: ${waiting.message ?? waiting.reason}; see the image name and pull secrets`;
    return { reason: 'ImagePullFailed', message };
  }
  if (waiting?.reason === 'CreateContainerConfigError') {
    return { reason: 'ContainerConfigError', message: `pod ${name}: ${waiting.message ?? waiting.reason}` };
  }
  return undefined;
}
