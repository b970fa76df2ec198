/** Writes model.onnx beside this file: the built-in lenet with weights from seed 1. Run by `npm run generate`. */
import { writeFile } from 'node:fs/promises';
import { exportOnnx } from '../../soap/conversion/export.ts';
import { builtinModel } from '../../soap/models/index.ts';
import { encodeOnnx } from '../../soap/onnx/encode.ts';

await writeFile(new URL('model.onnx', import.meta.url), encodeOnnx(exportOnnx(builtinModel('lenet', 1, 1))));
