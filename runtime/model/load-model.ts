import { readFile, stat } from 'node:fs/promises';
import { freeze } from '../../soap/graph/freeze.ts';
import type { Model } from '../../soap/graph/graph.ts';
import { importOnnx } from '../../soap/conversion/import.ts';
import type { TrainingGraph } from '../../soap/training/loss.ts';
import { attachLoss, requireClassAxis } from '../../soap/training/loss.ts';
import type { TrainingJob } from '../../soap/job/training-job.ts';
import { microBatchSize } from '../../soap/job/training-job.ts';
import { builtinModel } from '../../soap/models/index.ts';
import { decodeOnnx } from '../../soap/onnx/decode.ts';
import type { OnnxGraph } from '../../soap/onnx/model.ts';
import { externalDataBeside } from './external-data.ts';
import { fileReason } from '../storage/file-reason.ts';
import { readFetchedModel } from './fetched-model.ts';
import { formFailure, readFailure } from '../storage/missing-file.ts';
import { storagePath } from '../storage/storage-path.ts';

/** A job's model with its loss and initial weights. */
export interface LoadedModel {
  readonly model: Model;
  readonly training: TrainingGraph;
}

/** Reads the model a job names. @throws {Error} sentences about what is wrong with it */
export async function loadModel({ spec }: TrainingJob, directory: string): Promise<LoadedModel> {
  const { seed, loss, frozen, gradientAccumulationSteps } = spec.training;
  const read = await readModel(spec.model, directory, microBatchSize(spec.training), seed);
  const model = { ...read, graph: freeze(read.graph, frozen) };
  const { name, ...options } = loss;
  if (!('builtin' in spec.model)) requireClassAxis(model.graph, name, options);
  return { model, training: attachLoss(model.graph, name, options, gradientAccumulationSteps) };
}

async function readModel(
  source: TrainingJob['spec']['model'],
  directory: string,
  batch: number,
  seed: number,
): Promise<Model> {
  if ('builtin' in source) {
    const { name, ...parameters } = source.builtin;
    return builtinModel(name, batch, seed, parameters);
  }
  const { unrollSteps } = source;
  const name = 'url' in source ? source.url : source.onnx;
  const onnx = await ('url' in source
    ? readFetchedModel(source).then((bytes) => decodeOnnx(bytes, name))
    : readStoredModel(source.onnx, directory));
  return importOnnx(onnx, { batch, source: name, unrollSteps });
}

/**
 * Reads the ONNX file of a job from its storage.
 * @param place what messages call the folder
 * @throws {Error} a sentence where that fails; `isMissingFile` tells where a file is not there, or not whole yet
 */
export async function readStoredModel(onnx: string, directory: string, place: string = directory): Promise<OnnxGraph> {
  const path = storagePath(directory, onnx);
  const bytes = await readFile(path).catch((error: unknown) => {
    const message = `cannot read model '${onnx}' in ${place}: ${fileReason(error)}; correct spec.model.onnx, or put it there`;
    throw readFailure(message, error);
  });
  try {
    return decodeOnnx(bytes, onnx, externalDataBeside(path));
  } catch (error) {
    throw formFailure(error, (await stat(path)).mtimeMs);
  }
}
