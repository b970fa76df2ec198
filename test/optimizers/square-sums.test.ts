import test from 'ava';
import { createDeviceEngine } from '../../runtime/kernels/device/engine.ts';
import { HAS_SOFTWARE_GPU } from '../support/software-gpu.ts';
import { createOnnxRuntimeEngine } from '../../runtime/kernels/onnxruntime/engine.ts';
import { createReferenceEngine } from '../../runtime/kernels/reference/engine.ts';
import { squareSumCount, squareSums } from '../../runtime/optimizers/square-sums.ts';
import { filled, runGraph } from '../support/kernel-graphs.ts';

const onDevice = HAS_SOFTWARE_GPU ? [createDeviceEngine('webgpu', { gpu: 0 })] : [];
const ENGINES = [createReferenceEngine(), createOnnxRuntimeEngine({ threads: 1 }), ...onDevice];
test.after.always(() => ENGINES.forEach((engine) => engine.close()));

for (const engine of ENGINES) {
  for (const elements of [1, 5, 1024, 1025, 5000]) {
    test(`the squares of ${elements} elements are summed in ${engine.name}`, async (t) => {
      const gradient = Array.from(filled([elements]).data, Number);
      const { output0 } = await runGraph(engine, squareSums(elements), { gradient });
      t.is(output0!.length, squareSumCount(elements));
      const sum = Array.from(output0!, Number).reduce((a, b) => a + b, 0);
      const exact = gradient.reduce((total, value) => total + value * value, 0);
      t.true(Math.abs(sum / exact - 1) <= 1e-6, `${sum} and ${exact}`);
    });
  }
}
