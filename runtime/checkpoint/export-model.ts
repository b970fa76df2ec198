import { exportOnnx, fixedBatch } from '../../soap/graph/export.ts';
import type { Graph } from '../../soap/graph/graph.ts';
import { encodeOnnx } from '../../soap/onnx/encode.ts';
import { INDEX_NAME } from './index-file.ts';
import { latestCheckpoint, openCheckpoint, verifyCheckpoint } from './read.ts';
import { RunningMoments } from '../program/running-moments.ts';
import { restoreMoments, wholeWeights } from './restore.ts';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { writeWhole } from './whole-file.ts';

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
    if (role === 'parameter') bytes += Float32Array.BYTES_PER_ELEMENT * shape.reduce((product, n) => product * n, 1);
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
 * Writes the model of a checkpoint as an ONNX file.
 * @returns the one batch that the file takes; undefined where it takes any
 * @throws {Error} a sentence where the checkpoint is of another graph, or no file holds the model
 */
export async function exportCheckpoint(folder: string, graph: Graph, out: string): Promise<number | undefined> {
  const obstacle = exportObstacle(graph);
  if (obstacle !== undefined)
    throw new Error(`${obstacle}; read the weights from ${folder} itself, which is of safetensors files`);
  const checkpoint = await openCheckpoint(folder);
  try {
    const weights = await wholeWeights(checkpoint);
    const shapes = new Map(checkpoint.boxes.map(({ parameter, shape }) => [parameter, shape]));
    const parameters = graph.tensors.filter(({ role }) => role === 'parameter');
    for (const { name, shape } of parameters) {
      const stored = shapes.get(name);
      if (String(stored) === String(shape)) continue;
      throw new Error(
        `checkpoint ${folder} has ${stored === undefined ? 'no' : `shape [${stored}] as`} parameter '${name}'; the model ` +
          `expects [${shape}]: pass the model that was trained with --model`,
      );
    }
    const { moments } = new RunningMoments(graph);
    await restoreMoments(moments, checkpoint);
    const onnx = exportOnnx({ graph, weights, moments });
    await writeWhole(out, [encodeOnnx(onnx)]);
    return fixedBatch(onnx);
  } finally {
    await checkpoint.close();
  }
}
