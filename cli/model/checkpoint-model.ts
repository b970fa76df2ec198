import { stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import type { Model } from '../../soap/graph/graph.ts';
import { importOnnx } from '../../soap/conversion/import.ts';
import { builtinModel } from '../../soap/models/index.ts';
import type { ModelParameters } from '../../soap/models/index.ts';
import { decodeOnnx } from '../../soap/onnx/decode.ts';
import type { CheckpointIndex } from '../../runtime/checkpoint/index-file.ts';
import { readFetchedModel } from '../../runtime/model/fetched-model.ts';
import { loadModel } from '../../runtime/model/load-model.ts';
import { readJob } from '../files/read-job.ts';
import { UsageError } from '../command-line/usage-error.ts';
import { namedModel } from './given-model.ts';
import { modelOfFile } from './onnx-file.ts';
import { isRecord } from '../../soap/schema/is-record.ts';

/** Folders above a checkpoint in which its model's file is looked for: `storage/checkpoints/step-.../`, and two more. */
const FOLDERS_ABOVE = 4;

/**
 * The model that a checkpoint is of: what `--model` names, else what the job named that wrote it.
 * @param given an ONNX file, a TrainingJob, or a built-in model's name
 * @throws {Error} a sentence where it cannot be found
 */
export async function checkpointModel(
  folder: string,
  { metadata: { source, run } }: CheckpointIndex,
  given: string | undefined,
): Promise<Model> {
  const { batchSize: batch, seed } = run;
  const unrollSteps = isRecord(source) && typeof source['unrollSteps'] === 'number' ? source['unrollSteps'] : undefined;
  const fileModel = (path: string): Promise<Model> =>
    modelOfFile(path, "pass the trained model's file with --model", batch, unrollSteps);
  if (given !== undefined) {
    const { name, onnx } = namedModel(given);
    if (onnx !== undefined) return fileModel(onnx);
    if (name !== undefined) return builtinModel(name, batch, seed);
    const { job, directory } = await readJob(given);
    return (await loadModel(job, directory)).model;
  }
  if (isRecord(source) && isRecord(source['builtin']) && typeof source['builtin']['name'] === 'string') {
    const { name, ...parameters } = source['builtin'];
    return builtinModel(name, batch, seed, modelParameters(parameters));
  }
  if (isRecord(source) && typeof source['onnx'] === 'string') return fileModel(await above(folder, source['onnx']));
  if (isRecord(source) && typeof source['url'] === 'string' && typeof source['sha256'] === 'string') {
    const { url, sha256 } = source;
    return importOnnx(decodeOnnx(await readFetchedModel({ url, sha256 }), url), { batch, source: url, unrollSteps });
  }
  throw new UsageError(`the checkpoint in ${folder} does not say what model it is of; pass it with --model`);
}

/** A file of the job's storage, which is some folder above the checkpoint. */
async function above(folder: string, path: string): Promise<string> {
  let directory = resolve(folder);
  for (let i = 0; i < FOLDERS_ABOVE; i++) {
    directory = dirname(directory);
    const candidate = join(directory, path);
    if (
      await stat(candidate).then(
        (status) => status.isFile(),
        () => false,
      )
    )
      return candidate;
  }
  throw new UsageError(`model '${path}' is in none of the folders above ${folder}; pass it with --model`);
}

/** What can be a parameter of a built-in model; the model says what is wrong with the rest. */
function modelParameters(given: Record<string, unknown>): ModelParameters {
  return Object.fromEntries(
    Object.entries(given).map(([name, value]) => [
      name,
      typeof value === 'number' || typeof value === 'boolean' ? value : String(value),
    ]),
  );
}
