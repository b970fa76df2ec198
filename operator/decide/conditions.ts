import type { Condition, ConditionType, TrainingJobResource } from '../api/resource.ts';
import { CONDITION_TYPES } from '../api/resource.ts';
import type { Reason } from './reasons.ts';

/** What a visit finds about one condition. */
export interface Finding {
  readonly status: Condition['status'];
  readonly reason: Reason;
  readonly message: string;
}

const NOT_YET: Finding = { status: 'Unknown', reason: 'NotYet', message: 'not reached yet' };

/** Longest message that stays readable; the API server itself takes 32768 characters. */
const MAX_MESSAGE = 1024;

/**
 * The conditions after a visit: what was found, else as they were, else unknown. The transition time moves only with the
 * status.
 */
export function updatedConditions(
  resource: TrainingJobResource,
  findings: Readonly<Partial<Record<ConditionType, Finding>>>,
  now: Date,
): Condition[] {
  const before = new Map((resource.status?.conditions ?? []).map((condition) => [condition.type, condition]));
  const observedGeneration = resource.metadata.generation ?? 0;
  return CONDITION_TYPES.map((type): Condition => {
    const old = before.get(type);
    const found = findings[type] ?? old ?? NOT_YET;
    const lastTransitionTime =
      old !== undefined && old.status === found.status ? old.lastTransitionTime : now.toISOString();
    const { status, reason } = found;
    return {
      type,
      status,
      reason,
      message: found.message.slice(0, MAX_MESSAGE),
      lastTransitionTime,
      observedGeneration,
    };
  });
}

/** Whether a condition is true on the resource as it was read. */
export function isTrue(resource: TrainingJobResource, type: ConditionType): boolean {
  return (
    resource.status?.conditions?.some((condition) => condition.type === type && condition.status === 'True') ?? false
  );
}
