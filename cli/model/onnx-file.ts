import { readFile } from 'node:fs/promises';
import type { Model } from '../../soap/graph/graph.ts';
import { importOnnx } from '../../soap/conversion/import.ts';
import { decodeOnnx } from '../../soap/onnx/decode.ts';
import type { OnnxGraph } from '../../soap/onnx/model.ts';
import { externalDataBeside } from '../../runtime/model/external-data.ts';
import { fileReason } from '../../runtime/storage/file-reason.ts';

/** An ONNX file as it is, and what it says. */
interface OnnxFile {
  readonly bytes: Uint8Array;
  readonly graph: OnnxGraph;
}

/**
 * Reads an ONNX file, with its external data beside it.
 * @param cure what to do where there is no such file
 * @throws {Error} where it cannot be read, with the cure, or is no ONNX file
 */
export async function readOnnxFile(path: string, cure: string): Promise<OnnxFile> {
  const bytes = await readFile(path).catch((error: unknown) => {
    throw new Error(`cannot read model ${path}: ${fileReason(error)}; ${cure}`, { cause: error });
  });
  return { bytes, graph: decodeOnnx(bytes, path, externalDataBeside(path)) };
}

/**
 * The model of an ONNX file.
 * @param cure as of {@link readOnnxFile}
 * @param unrollSteps of `importOnnx`
 * @throws {Error} sentences about what is wrong with it
 */
export async function modelOfFile(
  path: string,
  cure: string,
  batch: number,
  unrollSteps: number | undefined,
): Promise<Model> {
  const { graph } = await readOnnxFile(path, cure);
  return importOnnx(graph, { batch, source: path, unrollSteps });
}
