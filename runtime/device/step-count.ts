import type { TrainingSettings } from '../../soap/job/training-job.ts';

/** Steps a job trains: as given, or as many as its epochs take. */
export function stepCount(
  { steps, epochs = 1, batchSize }: Pick<TrainingSettings, 'steps' | 'epochs' | 'batchSize'>,
  samples: number,
): number {
  return steps ?? Math.ceil((epochs * samples) / batchSize);
}
