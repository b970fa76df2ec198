import type { KernelProvider } from '../../soap/job/kernel-providers.ts';
import type { TrainingJob } from '../../soap/job/training-job.ts';
import { digestOf } from '../api/digest.ts';
import { UNKNOWN_TYPE } from '../discovery/node-devices.ts';

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

/** Names of the tables of measured costs that a search on some types of devices may rest on: unknown ones may be of any kind. */
export function costTableNames(types: Iterable<string>, job: TrainingJob): string[] {
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
 * Tells apart in tables whose kernels were measured: a model by where it is from, and the image that it was measured in, since another
 * one may have other libraries (those of a GPU, say) or another version. Where parameters are frozen, backward passes have other kernels.
 * Another batch or optimizer makes other shapes of the same ops, which are interpolated.
 */
export function modelKey({ spec: { model, storage, training } }: TrainingJob, image: string): string {
  const { frozen } = training;
  const subject = ['onnx' in model ? [model, storage] : model, image];
  return digestOf(frozen.length === 0 ? subject : [...subject, frozen]).slice(0, 16);
}
