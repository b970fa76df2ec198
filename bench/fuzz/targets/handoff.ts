import { readFile } from 'node:fs/promises';
import { importOnnx } from '../../../soap/conversion/import.ts';
import { structureOf } from '../../../soap/conversion/structure.ts';
import { handoffLines, readHandoff } from '../../../soap/job/handoff.ts';
import { decodeOnnx, OnnxError } from '../../../soap/onnx/decode.ts';
import { FileError } from '../../../soap/schema/check.ts';
import type { FuzzTarget } from '../target.ts';

const EXAMPLE = new URL('../../../test/golden/mlp/model.onnx', import.meta.url);

/** Logs of pods that hand over a model's graph without weights; unpacked already, since a digest guards what is packed. */
export const handoff: FuzzTarget = {
  name: 'handoff',
  share: 60,
  refusals: [OnnxError, FileError],
  async seeds() {
    const structure = structureOf(decodeOnnx(await readFile(EXAMPLE)));
    const lines = handoffLines('model', Buffer.from(structure).toString('base64'));
    return [Buffer.from(['what the image says first', ...lines].join('\n'))];
  },
  read(bytes) {
    const content = Buffer.from(readHandoff('model', Buffer.from(bytes).toString()), 'base64');
    importOnnx(decodeOnnx(content, 'the handed model', 'zeros'), { batch: 2 });
  },
};
