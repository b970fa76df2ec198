import type { KernelProvider } from '../../soap/job/kernel-providers.ts';
import type { TrainingJob } from '../../soap/job/training-job.ts';
import { digestOf } from '../digest.ts';

/** What a table is of: a type of device, and what kernels were asked to run on there. */
export interface TableSubject {
  readonly deviceType: string;
  readonly provider: KernelProvider;
}

/** Digits of the digest in names: with the longest job name, a pod's name is a host name of 63 characters. */
const NAME_DIGITS = 6;

/** The name of the ConfigMap with the costs of a type of device; it tells types apart that differ in what names cannot have. */
export function tableName(subject: TableSubject): string {
  const readable = subject.deviceType
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .replaceAll(/^-+|-+$/g, '')
    .slice(0, 40);
  return [
    'soapstone-costs',
    ...(readable === '' ? [] : [readable.replaceAll(/-+$/g, '')]),
    subjectDigest(subject),
  ].join('-');
}

/** The type of a device whose product no label names: devices of any kind may have it, and must not share a table. */
export const UNKNOWN_TYPE = 'unknown';

/** Names of the tables of measured costs that a search on some types of devices may rest on. */
export function costTables(types: Iterable<string>, job: TrainingJob): string[] {
  const provider = job.spec.training.kernels;
  return [...new Set(types)]
    .filter((deviceType) => deviceType !== UNKNOWN_TYPE)
    .map((deviceType) => tableName({ deviceType, provider }));
}

/** Tells subjects apart in the names of pods. */
export function subjectDigest({ deviceType, provider }: TableSubject): string {
  return digestOf([deviceType, provider]).slice(0, NAME_DIGITS);
}

/**
 * Tells models apart in tables: by where they are from. Another batch or optimizer makes other shapes of the same ops, which are
 * interpolated.
 */
export function modelKey({ spec: { model, storage } }: TrainingJob): string {
  return digestOf(['onnx' in model ? [model, storage] : model]).slice(0, 16);
}
