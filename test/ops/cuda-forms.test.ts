import test from 'ava';
import { inCudaForms } from '../../runtime/kernels/device/cuda-forms.ts';
import type { KernelEngine } from '../../runtime/kernels/kernels.ts';
import { createOnnxRuntimeEngine } from '../../runtime/kernels/onnxruntime/engine.ts';
import { createReferenceEngine } from '../../runtime/kernels/reference/engine.ts';
import { buildCase, titleOf } from '../support/op-case.ts';
import { differences } from '../support/op-checks.ts';
import { runSplit, runWhole, splitsAlongOne } from '../support/op-splits.ts';
import { OP_CASES } from './cases/index.ts';
import { gpuTolerance } from './gpu-tolerance.ts';

const reference = createReferenceEngine();

/** What kernels on CUDA are told to compute, computed by the processor. */
function inForms(engine: KernelEngine): KernelEngine {
  return { ...engine, compile: (graph) => engine.compile(inCudaForms(graph)) };
}

for (const each of OP_CASES) {
  const title = titleOf(each);

  test(`${title}: in the forms for CUDA, whole and split as by the reference`, async (t) => {
    const engine = inForms(createOnnxRuntimeEngine({ threads: 1 }));
    const built = buildCase(each);
    const whole = await runWhole(built, { engine: reference });
    for (const degrees of splitsAlongOne(built)) {
      const found = differences(await runSplit(built, degrees, { engine }), whole, gpuTolerance(title));
      t.deepEqual(found, [], `[${degrees}]`);
    }
    engine.close();
  });
}
