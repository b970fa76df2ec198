import type { TrainingJob } from '../../../soap/job/training-job.ts';
import { SOAPSTONE_VERSION } from '../../../soap/version.ts';
import type { JobStatus } from '../../api/resource.ts';
import { digestOf, sortedJson } from '../../api/digest.ts';
import type { LifetimeSettings } from '../lifetime-settings.ts';
import type { Decision } from '../types.ts';
import type { Visit } from '../visit.ts';
import { refuse } from './refused.ts';

/** Values by field, see {@link JobStatus}. */
type FixedFields = NonNullable<JobStatus['fixed']>;

/** The entry of the version that wrote the others. */
const VERSION = 'version';

/** Longest JSON that is kept as it is: a status has ten fields of it at most. */
const MAX_KEPT = 400;

/** Longest value, and most fields, that a message repeats. */
const [MAX_SHOWN, MAX_CHANGES] = [80, 4];

/**
 * Refuses a job that has pods and became another: they would go on with the old one, and the next ones fail. Nothing is started for it
 * until it is what it was.
 */
export function changedIdentity(visit: Visit, job: TrainingJob, settings: LifetimeSettings): Decision | undefined {
  const { fixed } = visit.progress;
  if (fixed === undefined) return undefined;
  if (fixed[VERSION] !== SOAPSTONE_VERSION) {
    // Another version may fill in other defaults: what is different need not be the user's doing.
    visit.progress.fixed = undefined;
    return undefined;
  }
  const changes = changesOf(fixed, fixedFields(job));
  if (changes.length === 0) return undefined;
  const shown = changes.slice(0, MAX_CHANGES);
  const more = changes.length > shown.length ? ` and ${changes.length - shown.length} more` : '';
  const cure = `set ${changes.length === 1 ? 'it' : 'them'} back, or delete the job and apply it again`;
  const message = `${shown.join(', ')}${more} after the job got its pods; ${cure}`;
  return refuse(visit, 'ImmutableFieldChanged', message, settings);
}

function changesOf(before: FixedFields, now: FixedFields): string[] {
  const paths = [...new Set([...Object.keys(before), ...Object.keys(now)])];
  return paths
    .filter((path) => before[path] !== now[path])
    .toSorted((a, b) => a.localeCompare(b))
    .map((path) => `${path} was changed from ${shownValue(before[path])} to ${shownValue(now[path])}`);
}

function shownValue(json: string | undefined): string {
  if (json === undefined) return 'nothing';
  return json.length > MAX_SHOWN ? `${json.slice(0, MAX_SHOWN - 3)}...` : json;
}

/**
 * What a plan and the checkpoints are made for, as this version has it: JSON by path of a field.
 * Source: `RunIdentity` of runtime/checkpoint, and the plan's model.
 */
export function fixedFields({ spec }: TrainingJob): FixedFields {
  const { model, storage, dataset, devices, checkpoint } = spec;
  const { batchSize, gradientAccumulationSteps, seed, loss, optimizer, frozen } = spec.training;
  const fields = {
    'spec.model': model,
    'spec.storage': storage,
    'spec.dataset': dataset,
    'spec.devices.resource': devices.resource,
    'spec.checkpoint.directory': checkpoint?.directory,
    'spec.training.batchSize': batchSize,
    'spec.training.gradientAccumulationSteps': gradientAccumulationSteps,
    'spec.training.seed': seed,
    'spec.training.loss': loss,
    'spec.training.optimizer.name': optimizer.name,
    'spec.training.frozen': frozen.length === 0 ? undefined : frozen,
  };
  const values = Object.entries(fields).flatMap(([path, value]) => leaves(path, value));
  return { ...Object.fromEntries(values), [VERSION]: SOAPSTONE_VERSION };
}

/** The values within a field, each with its path; a field that is too long to be kept whole is one value, which its digest tells from others. */
function leaves(path: string, value: unknown): [path: string, json: string][] {
  if (value === undefined) return [];
  const json = sortedJson(value);
  if (json.length > MAX_KEPT) return [[path, `SHA-256 ${digestOf(value).slice(0, 16)} of ${json.slice(0, MAX_SHOWN)}`]];
  const isGroup = typeof value === 'object' && value !== null && !Array.isArray(value);
  if (!isGroup || Object.keys(value).length === 0) return [[path, json]];
  return Object.entries(value).flatMap(([name, entry]) => leaves(`${path}.${name}`, entry));
}
