import type { TrainingJobSpec } from '../../soap/job/training-job.ts';
import { digestOf } from '../api/digest.ts';

/** Characters that tell two specs apart, few enough for the value of a label. */
const DIGITS = 16;

/**
 * A digest of what the pods of an attempt take from a spec, by which one that was edited meanwhile is told: what they are made of, and
 * what they are told to train. How long the job may live, and how its plan is found, is not in it.
 */
export function podDigest({
  model,
  storage,
  dataset,
  evaluation,
  training,
  devices: { resource, nodeSelector, tolerations },
  checkpoint,
  tls,
  template,
}: TrainingJobSpec): string {
  const devices = { resource, nodeSelector, tolerations };
  const parts = { model, storage, dataset, evaluation, training, devices, checkpoint, tls, template };
  return digestOf(parts).slice(0, DIGITS);
}
