import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { onnx } from 'onnx-proto';
import onnxProto from 'onnx-proto';
import { temporaryFolder } from '../support/temporary-folder.ts';

/** The folder of golden mlp. */
export const GOLDEN: string = new URL('../golden/mlp', import.meta.url).pathname;
const { ModelProto, TensorProto } = onnxProto.onnx;

/** A model, and the file of its weights. */
export interface Split {
  readonly model: Uint8Array;
  readonly data: Uint8Array;
}

/** Golden mlp as torch.onnx.export writes it by default: its weights one after the other in another file. */
export async function splitWeights(
  change: (entries: onnx.IStringStringEntryProto[]) => void = () => undefined,
): Promise<Split> {
  const model = ModelProto.decode(await readFile(join(GOLDEN, 'model.onnx')));
  const blobs: Uint8Array[] = [];
  let offset = 0;
  for (const tensor of model.graph?.initializer ?? []) {
    const raw = tensor.rawData ?? new Uint8Array();
    const entries = Object.entries({ location: 'weights.bin', offset, length: raw.length });
    tensor.externalData = entries.map(([key, value]) => ({ key, value: String(value) }));
    change(tensor.externalData);
    tensor.rawData = new Uint8Array();
    tensor.dataLocation = TensorProto.DataLocation.EXTERNAL;
    blobs.push(raw);
    offset += raw.length;
  }
  return { model: ModelProto.encode(model).finish(), data: Buffer.concat(blobs) };
}

/** A folder of a test with such a model, removed after it. */
export async function folderOf(
  t: { teardown(undo: () => Promise<void>): void },
  { model, data }: Split,
): Promise<string> {
  const folder = await temporaryFolder(t);
  await writeFile(join(folder, 'model.onnx'), model);
  await writeFile(join(folder, 'weights.bin'), data);
  return folder;
}
