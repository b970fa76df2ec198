import { createDeviceEngine } from '../../runtime/kernels/device/engine.ts';
import { createReferenceEngine } from '../../runtime/kernels/reference/engine.ts';
import { buildCase, titleOf } from '../support/op-case.ts';
import { differences } from '../support/op-checks.ts';
import { runSplit, runWhole, splitsAlongOne } from '../support/op-splits.ts';
import { onSoftwareGpu } from '../support/software-gpu.ts';
import { OP_CASES } from './cases/index.ts';
import { gpuTolerance } from './gpu-tolerance.ts';

const reference = createReferenceEngine();

for (const each of OP_CASES) {
  const title = titleOf(each);

  onSoftwareGpu(`${title}: whole and split as by the reference on WebGPU`, async (t) => {
    const engine = createDeviceEngine('webgpu', { gpu: 0 });
    const built = buildCase(each);
    const whole = await runWhole(built, { engine: reference });
    for (const degrees of splitsAlongOne(built)) {
      const found = differences(await runSplit(built, degrees, { engine }), whole, gpuTolerance(title));
      t.deepEqual(found, [], `[${degrees}]`);
    }
    engine.close();
  });
}
