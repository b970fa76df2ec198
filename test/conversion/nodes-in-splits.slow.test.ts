import test from 'ava';
import { createOnnxRuntimeEngine } from '../../runtime/kernels/onnxruntime/engine.ts';
import { isModel, splitFailures } from '../support/beside-runtime.ts';
import { NODE_CASES } from './node-cases/index.ts';

const engine = createOnnxRuntimeEngine({ threads: 1 });
test.after.always(() => engine.close());

for (const each of NODE_CASES.filter(isModel)) {
  test(`${each.does} is the same under every split`, async (t) => {
    t.deepEqual(await splitFailures(each, engine), []);
  });
}
