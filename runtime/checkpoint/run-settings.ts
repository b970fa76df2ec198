import { createHash } from 'node:crypto';
import type { Model } from '../../soap/graph/graph.ts';
import type { TrainingJob } from '../../soap/job/training-job.ts';

/**
 * What a run may have otherwise than the one that it goes on from, by path in `spec`: values as JSON, and a digest of the weights that
 * training began with. A checkpoint has it, so that whoever goes on from another job's can be told.
 */
export type RunSettings = Readonly<Record<string, string>>;

const WEIGHTS = 'initial weights';

/** Bytes of each parameter that the digest looks at: any training changes nearly all of them. */
const DIGESTED_BYTES = 4096;

/** The settings of a job. @param weights that it begins with */
export function runSettings({ dataset, training }: TrainingJob['spec'], weights: Model['weights']): RunSettings {
  const hash = createHash('sha256');
  for (const [name, { buffer, byteOffset, byteLength }] of weights) {
    hash.update(`${name}\0${byteLength}\0`);
    hash.update(new Uint8Array(buffer, byteOffset, Math.min(DIGESTED_BYTES, byteLength)));
  }
  const settings = leaves({ dataset, training: { optimizer: training.optimizer } });
  return { ...Object.fromEntries(settings), [WEIGHTS]: hash.digest('hex') };
}

/**
 * What a run has otherwise than the one whose checkpoint it takes up, in clauses.
 * @param was of the checkpoint; undefined of older ones, of which it is not known
 */
export function changedSettings(was: RunSettings | undefined, is: RunSettings): string[] {
  if (was === undefined) return [];
  const paths = [...new Set([...Object.keys(was), ...Object.keys(is)])].filter((path) => was[path] !== is[path]);
  return paths.map((path) =>
    path === WEIGHTS
      ? 'training began with other weights, and those of the model now do not count'
      : `${path} was ${was[path] ?? 'not there'}, and is ${is[path] ?? 'not there'}`,
  );
}

/** The values of nested objects by their paths; lists are values. */
function leaves(value: object, path: readonly string[] = []): [path: string, json: string][] {
  return Object.entries(value).flatMap(([key, each]: [string, unknown]) => {
    const here = [...path, key];
    const isNested = typeof each === 'object' && each !== null && !Array.isArray(each);
    return isNested ? leaves(each, here) : each === undefined ? [] : [[here.join('.'), JSON.stringify(each)]];
  });
}
