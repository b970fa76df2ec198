import { createDeviceEngine } from '../../runtime/kernels/device/engine.ts';
import { titleOf } from '../support/op-case.ts';
import { problemsOf } from '../support/op-on-gpu.ts';
import { onSoftwareGpu } from '../support/software-gpu.ts';
import { OP_CASES } from '../support/op-cases/index.ts';

for (const each of OP_CASES) {
  onSoftwareGpu(`${titleOf(each)}: whole and split as by the reference on WebGPU`, async (t) => {
    const engine = createDeviceEngine('webgpu', { gpu: 0 });
    t.deepEqual(await problemsOf(each, engine), []);
    engine.close();
  });
}
