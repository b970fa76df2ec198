import { exportOnnx, fixedBatch } from '../../soap/conversion/export.ts';
import type { Graph, Tensor } from '../../soap/graph/graph.ts';
import { onnxParts } from '../../soap/onnx/encode.ts';
import type { OnnxGraph } from '../../soap/onnx/model.ts';
import { INDEX_NAME } from './index-file.ts';
import type { OpenCheckpoint } from './read.ts';
import { latestCheckpoint, openCheckpoint, verifyCheckpoint } from './read.ts';
import { RunningMoments } from '../program/running-moments.ts';
import { restoreMoments, weightBoxes, wholeWeight } from './restore.ts';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { writeWhole } from '../storage/whole-file.ts';
import { elementCount } from '../../soap/onnx/indexing.ts';

/** Most bytes of an ONNX file with its weights inside. Source: a protobuf message ends at 2 GiB (protobuf.dev, "Encoding"). */
const MAX_ONNX_BYTES = 2 ** 31 - 1;

/** More than the names, shapes and attributes of an op, or of a tensor, take in a file. */
const DESCRIPTION_BYTES = 1024;

/** Which checkpoint a path means. */
export interface FoundCheckpoint {
  readonly folder: string;
  /** Why newer ones were passed over. */
  readonly passedOver: readonly string[];
}

/**
 * The checkpoint at a path: of one checkpoint's folder, that one; of a folder of checkpoints, the newest whole one.
 * @throws {Error} a sentence where there is none, or where the one asked for is damaged
 */
export async function findCheckpoint(path: string): Promise<FoundCheckpoint> {
  const isOne = await stat(join(path, INDEX_NAME)).then(
    (status) => status.isFile(),
    () => false,
  );
  if (isOne) {
    await verifyCheckpoint(path);
    return { folder: path, passedOver: [] };
  }
  const { folder, passedOver } = await latestCheckpoint(path);
  if (folder !== undefined) return { folder, passedOver };
  const [reason = 'it has no folders called step-00000100 and the like'] = passedOver;
  throw new Error(
    `${path} holds no whole checkpoint: ${reason}; expected the checkpoint.directory of a job, or a folder in it`,
  );
}

/** Why no ONNX file holds a model: a clause with its size; undefined where one does. Takes no memory for weights. */
export function exportObstacle(graph: Graph): string | undefined {
  let bytes = DESCRIPTION_BYTES * (graph.ops.length + graph.tensors.length);
  for (const { shape, role } of graph.tensors)
    if (role === 'parameter') bytes += Float32Array.BYTES_PER_ELEMENT * elementCount(shape);
  for (const { mean, variance } of new RunningMoments(graph).moments.values())
    bytes += mean.byteLength + variance.byteLength;
  if (bytes <= MAX_ONNX_BYTES) return undefined;
  return `as an ONNX file the model would take ${(bytes / 1e9).toFixed(1)} GB, and such a file holds at most ${(MAX_ONNX_BYTES / 1e9).toFixed(1)} GB`;
}

/** What the user should know of a file that takes one batch only: a sentence with its name. */
export function fixedBatchNotice(file: string, batch: number): string {
  return (
    `${file} takes batches of ${batch} samples and no others, since an op of the model is made for that number: fill up ` +
    'smaller batches, and leave out the results of what was added'
  );
}

/**
 * Writes the model of a checkpoint as an ONNX file. It reads and writes one parameter after the other, since all that training takes may be
 * in memory beside it.
 * @returns the one batch that the file takes; undefined where it takes any
 * @throws {Error} a sentence where the checkpoint is of another graph, or no file holds the model
 */
export async function exportCheckpoint(folder: string, graph: Graph, out: string): Promise<number | undefined> {
  const obstacle = exportObstacle(graph);
  if (obstacle !== undefined)
    throw new Error(`${obstacle}; read the weights from ${folder} itself, which is of safetensors files`);
  const checkpoint = await openCheckpoint(folder);
  try {
    const boxes = weightBoxes(checkpoint);
    const parameters = graph.tensors.filter(({ role }) => role === 'parameter');
    for (const { name, shape } of parameters) {
      const stored = boxes.get(name)?.[0]?.shape;
      if (String(stored) === String(shape)) continue;
      throw new Error(
        `checkpoint ${folder} has ${stored === undefined ? 'no' : `shape [${stored}] as`} parameter '${name}'; the model ` +
          `expects [${shape}]: pass the model that was trained with --model`,
      );
    }
    const { moments } = new RunningMoments(graph);
    await restoreMoments(moments, checkpoint);
    const onnx = exportOnnx({ graph, weights: standIns(parameters), moments });
    await writeWhole(out, modelFile(onnx, checkpoint));
    return fixedBatch(onnx);
  } finally {
    await checkpoint.close();
  }
}

/** Zeros in the place of parameters, by name, all in the same memory: what a graph is written as does not depend on their values. */
function standIns(parameters: readonly Tensor[]): Map<string, Float32Array> {
  const sizes = parameters.map(({ shape }) => elementCount(shape));
  const zeros = new Float32Array(Math.max(0, ...sizes));
  return new Map(parameters.map(({ name }, i) => [name, zeros.subarray(0, sizes[i])]));
}

/** The bytes of a model file, with the parameters of a checkpoint in the place of those of the graph. */
async function* modelFile(onnx: OnnxGraph, checkpoint: OpenCheckpoint): AsyncGenerator<Uint8Array> {
  const boxes = weightBoxes(checkpoint);
  for (const part of onnxParts(onnx)) {
    if (part instanceof Uint8Array) yield part;
    else {
      const own = boxes.get(part.valuesOf);
      const data = own === undefined ? onnx.initializers.get(part.valuesOf)!.data : await wholeWeight(checkpoint, own);
      yield new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    }
  }
}
