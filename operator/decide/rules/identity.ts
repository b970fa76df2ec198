import type { TrainingJob } from '../../../soap/job/training-job.ts';
import { SOAPSTONE_VERSION } from '../../../soap/version.ts';
import { digestOf } from '../../digest.ts';
import type { Decision } from '../types.ts';
import type { Visit } from '../visit.ts';
import { end, find } from '../visit.ts';

/** What a plan and the checkpoints are made for. Source: `RunIdentity` of runtime/checkpoint, and the plan's model. */
const IDENTITY =
  'spec.model, storage, dataset, devices.resource, checkpoint.directory, training.batchSize, gradientAccumulationSteps, seed, loss, optimizer.name';

/**
 * Refuses a job that has pods and became another: they would go on with the old one, and the next ones fail. Nothing is done to it
 * until it is what it was.
 */
export function changedIdentity(visit: Visit, job: TrainingJob): Decision | undefined {
  const { progress } = visit;
  const { identity } = progress;
  if (identity === undefined || identity === identityOf(job)) return undefined;
  if (!identity.startsWith(`${SOAPSTONE_VERSION}:`)) {
    // Another version may fill in other defaults: what is different need not be the user's doing.
    progress.identity = undefined;
    return undefined;
  }
  const message = `one of ${IDENTITY} was changed after the job got its pods; set it back, or delete the job and apply it again`;
  find(visit, 'Accepted', 'False', 'ImmutableFieldChanged', message);
  return end(visit, 'Invalid', 'Accepted');
}

/** A digest of the fields of {@link IDENTITY}, as this version has them. */
export function identityOf({ spec }: TrainingJob): string {
  const { batchSize, gradientAccumulationSteps, seed, loss, optimizer } = spec.training;
  const fields = [
    spec.model,
    spec.storage,
    spec.dataset,
    spec.devices.resource,
    spec.checkpoint?.directory,
    batchSize,
    gradientAccumulationSteps,
    seed,
    loss,
    optimizer.name,
  ];
  return `${SOAPSTONE_VERSION}:${digestOf(fields).slice(0, 32)}`;
}
