import type { V1Container, V1Pod } from '@kubernetes/client-node';
import { CORE_RESOURCE } from './cores.ts';

/**
 * How many of a resource a pod holds: the most that its containers ask for at any time of its life. Restartable init
 * containers (sidecars) keep theirs for the whole life, other init containers run one after the other, beside the sidecars
 * that have started before them.
 * Source: Kubernetes, "Sidecar containers: resource sharing within containers", and "Pod Overhead".
 */
export function podRequest(pod: V1Pod, resource: string): number {
  const { containers = [], initContainers = [], overhead } = pod.spec ?? {};
  let [sidecars, highestInit] = [0, 0];
  for (const container of initContainers) {
    const own = containerRequest(container, resource);
    if (container.restartPolicy === 'Always') sidecars += own;
    highestInit = Math.max(highestInit, container.restartPolicy === 'Always' ? sidecars : sidecars + own);
  }
  const running = containers.reduce((sum, container) => sum + containerRequest(container, resource), sidecars);
  return Math.max(running, highestInit) + amountOf(overhead?.[resource], resource);
}

/** Whether a pod has given its devices back. */
export function isFinished({ status }: V1Pod): boolean {
  return status?.phase === 'Succeeded' || status?.phase === 'Failed';
}

/** Extended resources have equal requests and limits, either of which may be left out; of cores it is the request that counts. */
function containerRequest({ resources }: V1Container, resource: string): number {
  return amountOf(resources?.requests?.[resource] ?? resources?.limits?.[resource], resource);
}

/** How much of a resource a quantity is: extended resources count whole things, cores come in thousandths. */
export function amountOf(quantity: string | number | undefined, resource: string): number {
  return resource === CORE_RESOURCE ? coreCount(quantity) : wholeCount(quantity);
}

/** Cores of a quantity such as `3920m`, `2` or `1.5`; none of anything else. */
function coreCount(quantity: string | number | undefined): number {
  const [, digits = '', unit = ''] = /^([0-9]+(?:\.[0-9]+)?)(m|k)?$/.exec(String(quantity ?? '')) ?? [];
  const count = Number(digits) * (unit === 'm' ? 1e-3 : unit === 'k' ? 1e3 : 1);
  return Number.isFinite(count) ? count : 0;
}

/** Anything but whole numbers counts as none. Large clusters may write `1k`. */
function wholeCount(quantity: string | number | undefined): number {
  const [, digits = '', kilo] = /^([0-9]+)(k)?$/.exec(String(quantity ?? '')) ?? [];
  const count = Number(digits) * (kilo === undefined ? 1 : 1000);
  return Number.isSafeInteger(count) ? count : 0;
}
