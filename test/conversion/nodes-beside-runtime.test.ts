import test from 'ava';
import { createOnnxRuntimeEngine } from '../../runtime/kernels/onnxruntime/engine.ts';
import { createReferenceEngine } from '../../runtime/kernels/reference/engine.ts';
import { besideRuntime } from '../support/beside-runtime.ts';
import { NODE_CASES } from './node-cases/index.ts';

const runtime = createOnnxRuntimeEngine({ threads: 1 });
const engines = [createReferenceEngine(), runtime];
test.after.always(() => {
  for (const engine of engines) engine.close();
});

for (const each of NODE_CASES) {
  const { does, parts } = each;
  test(`${does} computes and trains as ONNX Runtime's own node`, async (t) => {
    for (const engine of engines) {
      const { result, gradients } = await besideRuntime(each, engine, runtime);
      t.true(result <= 1e-6, `${engine.name}: ${result}`);
      const integers = new Set(parts.integers);
      const floats = Object.keys(parts.inputs ?? {}).filter((name) => !integers.has(name));
      t.deepEqual(Object.keys(gradients), floats);
      for (const [name, error] of Object.entries(gradients)) t.true(error <= 1e-3, `${engine.name}: ${name} ${error}`);
    }
  });
}
