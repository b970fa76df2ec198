import test from 'ava';
import { inCudaForms } from '../../runtime/kernels/device/cuda-forms.ts';
import type { KernelEngine } from '../../runtime/kernels/kernels.ts';
import { createOnnxRuntimeEngine } from '../../runtime/kernels/onnxruntime/engine.ts';
import { titleOf } from '../support/op-case.ts';
import { problemsOf } from '../support/op-on-gpu.ts';
import { OP_CASES } from '../support/op-cases/index.ts';

/** What kernels on CUDA are told to compute, computed by the processor. */
function inForms(engine: KernelEngine): KernelEngine {
  return { ...engine, compile: (graph) => engine.compile(inCudaForms(graph)) };
}

for (const each of OP_CASES) {
  test(`${titleOf(each)}: in the forms for CUDA, whole and split as by the reference`, async (t) => {
    const engine = inForms(createOnnxRuntimeEngine({ threads: 1 }));
    t.deepEqual(await problemsOf(each, engine), []);
    engine.close();
  });
}
