import type { LossSettings, WireType } from '../../soap/job/training-job.ts';
import { LOSS_NAMES } from '../../soap/training/loss.ts';
import { largestDivisor } from '../../soap/region/divisors.ts';
import type { Arguments } from '../command-line/arguments.ts';
import { text, wholeNumber } from '../command-line/arguments.ts';
import { UsageError } from '../command-line/usage-error.ts';

/** What a step takes. */
export interface Batch {
  /** In all. */
  readonly samples: number;
  /** Micro-batches that they are taken in. */
  readonly accumulationSteps: number;
}

/** Options of a command that say how a model without a job is trained. */
export const TRAINING_OPTIONS = {
  accumulate: { type: 'string' },
  freeze: { type: 'string', multiple: true },
  loss: { type: 'string' },
  wire: { type: 'string' },
} as const;

/** Samples in a step where neither a job nor an option says. */
const DEFAULT_BATCH = 64;

const WIRES = ['float32', 'bfloat16'] as const;

/** @throws {UsageError} where micro-batches would not be equal */
export function requireDivisible({ samples, accumulationSteps }: Batch): void {
  if (samples % accumulationSteps === 0) return;
  throw new UsageError(
    `a batch of ${samples} samples cannot be taken in ${accumulationSteps} equal micro-batches; ` +
      `expected a divisor of it, such as ${largestDivisor(samples, accumulationSteps)}`,
  );
}

/** What the options say of the batch of a model without a job. */
export function givenBatch(args: Arguments, samples: number = DEFAULT_BATCH): Batch {
  return { samples, accumulationSteps: wholeNumber(args, 'accumulate', 1, 65536) ?? 1 };
}

/** How values travel, where the model has no job. @throws {UsageError} for another type */
export function givenWire(args: Arguments): WireType {
  const name = text(args, 'wire') ?? 'float32';
  const wire = WIRES.find((each) => each === name);
  if (wire === undefined) throw new UsageError(`--wire is '${name}'; expected ${WIRES.join(' or ')}`);
  return wire;
}

/** The loss of a model without a job; undefined for its usual one. @throws {UsageError} for another name */
export function givenLoss(args: Arguments): LossSettings | undefined {
  const name = text(args, 'loss');
  const loss = LOSS_NAMES.find((each) => each === name);
  if (name === undefined || loss !== undefined) return loss && { name: loss };
  throw new UsageError(`--loss is '${name}'; expected ${LOSS_NAMES.join(' or ')}`);
}

/** @throws {UsageError} where options contradict a job, which says the same itself */
export function refuseBesideJob(args: Arguments): void {
  if (Object.keys(TRAINING_OPTIONS).every((name) => args.options[name] === undefined)) return;
  throw new UsageError(
    '--accumulate, --freeze, --loss and --wire are for a model without a job; expected them in the job: ' +
      'spec.training.gradientAccumulationSteps, .frozen, .loss and .wire',
  );
}
