import { readdirSync, readFileSync } from 'node:fs';
import test from 'ava';
import { importOnnx } from '../../soap/conversion/import.ts';
import { structureOf } from '../../soap/conversion/structure.ts';
import { decodeOnnx, OnnxError } from '../../soap/onnx/decode.ts';
import { encodeOnnx } from '../../soap/onnx/encode.ts';
import type { OnnxTensor } from '../../soap/onnx/model.ts';

const GOLDEN = new URL('../golden/', import.meta.url);
const NAMES = readdirSync(GOLDEN, { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map(({ name }) => name);

for (const name of NAMES) {
  test(`golden ${name}: the structure alone gives the same graph, and is small`, (t) => {
    const file = readFileSync(new URL(`${name}/model.onnx`, GOLDEN));
    const onnx = decodeOnnx(file);
    const structure = structureOf(onnx);
    t.true(structure.length < file.length / 2, `${structure.length} of ${file.length} bytes`);
    const options = { batch: 8, source: name };
    const { graph } = importOnnx(decodeOnnx(structure, name, 'zeros'), options);
    t.deepEqual(graph, importOnnx(onnx, options).graph);
    t.throws(() => decodeOnnx(structure), { instanceOf: OnnxError, message: /is stored in another file/ });
  });
}

test('what is left out may not stand for more than a file can hold', (t) => {
  const onnx = decodeOnnx(readFileSync(new URL('mlp/model.onnx', GOLDEN)));
  const huge = (shape: readonly number[]): Uint8Array => {
    const tensor: OnnxTensor = { dtype: 'float32', shape, data: new Float32Array(0) };
    const initializers = new Map([...onnx.initializers, ['a', tensor], ['b', tensor]]);
    return encodeOnnx({ ...onnx, initializers }, (_, { data }) => data.length === 0);
  };
  t.is(decodeOnnx(huge([2 ** 10, 2 ** 10]), 'it', 'zeros').initializers.get('a')?.data.length, 2 ** 20);
  t.throws(() => decodeOnnx(huge([2 ** 28 + 1]), 'it', 'zeros'), { message: /tensor 'b' and those.*2 GiB/ });
  t.throws(() => decodeOnnx(huge([2 ** 40]), 'it', 'zeros'), { message: /tensor 'a' and those.*2 GiB/ });
  t.throws(() => decodeOnnx(huge([-1]), 'it', 'zeros'), { message: /expected at most 16 extents of at least 0/ });
});
