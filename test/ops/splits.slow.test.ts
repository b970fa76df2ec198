import test from 'ava';
import * as fc from 'fast-check';
import { createOnnxRuntimeEngine } from '../../runtime/kernels/onnxruntime/engine.ts';
import { createReferenceEngine } from '../../runtime/kernels/reference/engine.ts';
import { opDimensions } from '../../soap/ops/index.ts';
import { divisorsUpTo } from '../../soap/region/divisors.ts';

import type { BuiltCase } from '../support/op-case.ts';
import { buildCase, titleOf } from '../support/op-case.ts';
import { descriptionErrors, differences, distance, gradientErrors } from '../support/op-checks.ts';
import { runSplit, runWhole } from '../support/op-splits.ts';
import { CASES as CNN } from '../support/op-cases/cnn.ts';
import { CASES as LOSSES } from '../support/op-cases/losses.ts';
import { CASES as RECURRENT } from '../support/op-cases/recurrent.ts';
import { CASES as TRANSFORMER } from '../support/op-cases/transformer.ts';
import { elementCount } from '../../soap/onnx/indexing.ts';

/** Relative to the largest element of a tensor: what another order of float32 sums may change. */
const TOLERANCE = 1e-5;
/** Of central differences in float64. */
const GRADIENT_TOLERANCE = 1e-5;
const [RANDOM_SPLITS, MOST_PARTS] = [8, 16];

const reference = createReferenceEngine();
const onnxRuntime = createOnnxRuntimeEngine({ threads: 1 });
test.after.always(() => onnxRuntime.close());

for (const each of [...CNN, ...LOSSES, ...RECURRENT, ...TRANSFORMER]) {
  const title = titleOf(each);

  test.serial(`${title}: gradients are those of central differences, on its dimensions`, async (t) => {
    const built = buildCase(each);
    t.deepEqual(
      opDimensions(built.graph, built.op).map(({ name }) => name),
      [...each.dimensions],
    );
    t.deepEqual(descriptionErrors(built), []);
    const runner = { engine: reference, float64: true };
    if (each.expected !== undefined) {
      const { outputs } = await runWhole(built, runner);
      t.true(distance(outputs[0]!, each.expected(...built.inputs)) <= TOLERANCE);
    }
    t.deepEqual(await gradientErrors(built, runner, GRADIENT_TOLERANCE), []);
  });

  // One after the other, so that a slow machine shows progress.
  test.serial(`${title}: every split gives what the whole gives, on both engines`, async (t) => {
    const built = buildCase(each);
    const whole = await runWhole(built, { engine: reference });
    const checked = async (degrees: readonly number[]): Promise<void> => {
      for (const engine of [reference, onnxRuntime]) {
        const found = differences(await runSplit(built, degrees, { engine }), whole, TOLERANCE);
        if (found.length > 0) throw new Error(`parts [${degrees}] on ${engine.name}: ${found.join('; ')}`);
      }
    };
    for (const degrees of splitsAlongOne(built)) await checked(degrees);
    await fc.assert(fc.asyncProperty(splits(built), checked), { numRuns: RANDOM_SPLITS, seed: 1 });
    t.pass();
  });
}

/** The whole, and the finest split along each dimension alone. */
function splitsAlongOne({ graph, op }: BuiltCase): number[][] {
  const dimensions = opDimensions(graph, op);
  const whole = dimensions.map(() => 1);
  return [whole, ...dimensions.map(({ size }, i) => whole.with(i, divisorsUpTo(size, MOST_PARTS).at(-1)!))];
}

/** Splits along any dimensions at once. */
function splits({ graph, op }: BuiltCase): fc.Arbitrary<number[]> {
  const degrees = opDimensions(graph, op).map(({ size }) => fc.constantFrom(...divisorsUpTo(size, MOST_PARTS)));
  return fc.tuple(...degrees).filter((chosen) => elementCount(chosen) <= MOST_PARTS);
}
