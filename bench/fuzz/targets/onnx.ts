import { readFile } from 'node:fs/promises';
import { importOnnx } from '../../../soap/graph/import.ts';
import { decodeOnnx, OnnxError } from '../../../soap/onnx/decode.ts';
import { encodeOnnx } from '../../../soap/onnx/encode.ts';
import type { OnnxNode } from '../../../soap/onnx/model.ts';
import { FileError } from '../../../soap/schema/check.ts';
import type { FuzzTarget } from '../target.ts';

const EXAMPLE = new URL('../../../test/golden/mlp/model.onnx', import.meta.url);

/** ONNX files: decoded and made a graph of, with shapes worked out. */
export const onnx: FuzzTarget = {
  name: 'onnx',
  share: 0.3,
  refusals: [OnnxError, FileError],
  async seeds() {
    const small = encodeOnnx({
      name: 'small',
      opset: 17,
      inputs: [{ name: 'x', dtype: 'float32', shape: ['batch', 4] }],
      outputs: [{ name: 'y', dtype: 'float32', shape: ['batch', 2] }],
      initializers: new Map([
        ['w', { dtype: 'float32', shape: [4, 2], data: new Float32Array(8) }],
        ['s', { dtype: 'int64', shape: [2], data: BigInt64Array.of(-1n, 2n) }],
      ]),
      nodes: [node('MatMul', ['x', 'w'], 'h'), node('Relu', ['h'], 'r'), node('Reshape', ['r', 's'], 'y')],
    });
    return [small, small, small, await readFile(EXAMPLE)];
  },
  read(bytes) {
    importOnnx(decodeOnnx(bytes), { batch: 2 });
  },
};

function node(opType: string, inputs: string[], output: string): OnnxNode {
  return { name: opType, opType, domain: '', inputs, outputs: [output], attributes: {} };
}
