import { readFile } from 'node:fs/promises';
import { structureOf } from '../../../soap/conversion/structure.ts';
import { importOnnx } from '../../../soap/conversion/import.ts';
import { decodeOnnx, OnnxError } from '../../../soap/onnx/decode.ts';
import { encodeOnnx } from '../../../soap/onnx/encode.ts';
import type { OnnxNode } from '../../../soap/onnx/model.ts';
import { FileError } from '../../../soap/schema/check.ts';
import { mutateProtobuf } from '../structured/protobuf.ts';
import type { FuzzTarget } from '../target.ts';

/** Models that PyTorch exported, with ops of all kinds. */
const EXAMPLES = ['mlp', 'cnn', 'gpt', 'dlrm', 'lstm', 'resnet'];

/** ONNX files, and such without their weights: decoded and made a graph of, with shapes worked out. */
export const onnx: FuzzTarget = {
  name: 'onnx',
  share: 60,
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
    const structures = EXAMPLES.map(async (name) => {
      const file = await readFile(new URL(`../../../test/golden/${name}/model.onnx`, import.meta.url));
      return structureOf(decodeOnnx(file));
    });
    return [small, ...(await Promise.all(structures))];
  },
  structured: mutateProtobuf,
  read(bytes) {
    importOnnx(decodeOnnx(bytes, 'the model', 'zeros'), { batch: 2 });
  },
};

function node(opType: string, inputs: string[], output: string): OnnxNode {
  return { name: opType, opType, domain: '', inputs, outputs: [output], attributes: {} };
}
