import type { V1ResourceRequirements } from '@kubernetes/client-node';
import { workerContainer } from './template.ts';

/** What reading a model of some hundred megabytes takes. */
const REQUESTS: Readonly<Record<string, string>> = { cpu: '100m', memory: '256Mi' };

/** Resources that every node has; whoever only reads holds none of the others. */
const KINDS = ['cpu', 'memory', 'ephemeral-storage'] as const;

/**
 * Resources of a pod that reads a model: those that a template gives to the runtime's container, without devices. A quota that demands
 * limits, which lets the pods of the job in, then lets this one in too. Of what the template does not say, what reading takes.
 */
export function inspectResources(template: Readonly<Record<string, unknown>>): V1ResourceRequirements {
  const given: { requests?: unknown; limits?: unknown } = Object(workerContainer(template)['resources']);
  const [requests, limits] = [ofEveryNode(given.requests), ofEveryNode(given.limits)];
  const unsaid = Object.entries(REQUESTS).filter(([kind]) => !(kind in requests) && !(kind in limits));
  return {
    requests: { ...Object.fromEntries(unsaid), ...requests },
    ...(Object.keys(limits).length > 0 && { limits }),
  };
}

/** Of a template that is not validated. */
function ofEveryNode(quantities: unknown): Record<string, string> {
  const all: Readonly<Record<string, unknown>> = Object(quantities);
  const isQuantity = (value: unknown): boolean => typeof value === 'string' || typeof value === 'number';
  return Object.fromEntries(KINDS.filter((kind) => isQuantity(all[kind])).map((kind) => [kind, String(all[kind])]));
}
