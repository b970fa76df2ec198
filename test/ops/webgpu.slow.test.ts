import test from 'ava';
import { createDeviceEngine } from '../../runtime/kernels/device/engine.ts';
import { KernelError } from '../../runtime/kernels/kernels.ts';
import { createReferenceEngine } from '../../runtime/kernels/reference/engine.ts';
import { buildCase, titleOf } from '../support/op-case.ts';
import { differences } from '../support/op-checks.ts';
import { runSplit, runWhole, splitsAlongOne } from '../support/op-splits.ts';
import { onSoftwareGpu } from '../support/software-gpu.ts';
import { OP_CASES } from './cases/index.ts';

/** Relative to the largest element of a tensor: what another order of float32 sums may change. */
const TOLERANCE = 1e-5;

/** WGSL lets sin and cos be off by 2^-11 within [-pi, pi]. Source: WGSL specification, "Accuracy of Concrete Floating Point Expressions". */
const TOLERANCES = new Map([
  ['sin', 2 ** -11],
  ['cos', 2 ** -11],
]);

/** Ops that need a node which the provider does not have. */
const REFUSED = new Map([
  ['conv2d over volumes', /'op\.backward' is refused: node 'ConvTranspose_\d+': .*no ConvTranspose of 3 spatial axes/],
  [
    'avgPool2d over volumes',
    /'op\.backward' is refused: node 'ConvTranspose_\d+': .*no ConvTranspose of 3 spatial axes/,
  ],
]);

const reference = createReferenceEngine();

for (const each of OP_CASES) {
  const title = titleOf(each);
  const refused = REFUSED.get(title);
  const tolerance = TOLERANCES.get(title) ?? TOLERANCE;

  onSoftwareGpu(
    `${title}: ${refused ? 'refused by name' : 'whole and split as by the reference'} on WebGPU`,
    async (t) => {
      const engine = createDeviceEngine('webgpu', { gpu: 0 });
      const built = buildCase(each);
      if (refused !== undefined) {
        await t.throwsAsync(runWhole(built, { engine }), { instanceOf: KernelError, message: refused });
        return;
      }
      const whole = await runWhole(built, { engine: reference });
      for (const degrees of splitsAlongOne(built)) {
        t.deepEqual(differences(await runSplit(built, degrees, { engine }), whole, tolerance), [], `[${degrees}]`);
      }
      engine.close();
    },
  );
}

test('the ops that are named here are ops of the project', (t) => {
  const titles = OP_CASES.map(titleOf);
  t.deepEqual(
    [...REFUSED.keys(), ...TOLERANCES.keys()].filter((title) => !titles.includes(title)),
    [],
  );
});
