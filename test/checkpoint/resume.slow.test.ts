import test from 'ava';
import { createOnnxRuntimeEngine } from '../../runtime/kernels/onnxruntime/engine.ts';
import { relativeError } from '../support/train-in-memory.ts';
import { folder, testRun } from './support.ts';
import { curve, PLANS, trained } from './plans.ts';

const engine = createOnnxRuntimeEngine({ threads: 1 });
test.after.always(() => engine.close());

const [STEPS, HALF] = [8, 4];

for (const [name, plan] of Object.entries(PLANS)) {
  test.serial(`under ${name}, a run resumed from half way has the bits of an uninterrupted one`, async (t) => {
    const directory = await folder(t);
    const whole = await testRun({ directory, engine, ...plan });
    const losses = await curve(whole, 0, STEPS);
    await trained({ directory, engine }, plan, HALF);
    const resumed = await testRun({ directory, engine, ...plan });
    t.is(await resumed.begin(true), HALF);
    t.deepEqual(await curve(resumed, HALF, STEPS), losses.slice(HALF));
    t.deepEqual(resumed.weights(), whole.weights());
    await whole.close();
    await resumed.close();
  });
}

test.serial(
  'a run that drops values goes on with the same bits, and under another plan with the same curve',
  async (t) => {
    const directory = await folder(t);
    const rest = { drops: true };
    const whole = await testRun({ directory, engine, ...PLANS.data2, ...rest });
    const losses = await curve(whole, 0, STEPS);
    await trained({ directory, engine }, PLANS.data2, HALF, rest);
    for (const plan of ['data2', 'random4'] as const) {
      const resumed = await testRun({ directory, engine, ...PLANS[plan], ...rest });
      t.is(await resumed.begin(true), HALF);
      const again = await curve(resumed, HALF, STEPS);
      if (plan === 'data2') t.deepEqual(again, losses.slice(HALF));
      else t.true(relativeError(again, losses.slice(HALF)) < 1e-4, `${again} and ${losses.slice(HALF)}`);
      await resumed.close();
    }
    await whole.close();
  },
);

for (const [before, after] of [
  ['one', 'data4'],
  ['data4', 'model2'],
  ['random4', 'one'],
  ['model2', 'random4'],
] as const) {
  test.serial(`a checkpoint of ${before} goes on under ${after} with the same curve up to rounding`, async (t) => {
    const directory = await folder(t);
    const whole = await testRun({ directory, engine, ...PLANS[before] });
    const losses = await curve(whole, 0, STEPS);
    await whole.close();
    await trained({ directory, engine }, PLANS[before], HALF);
    const resumed = await testRun({ directory, engine, ...PLANS[after] });
    t.is(await resumed.begin(true), HALF);
    t.true(relativeError(await curve(resumed, HALF, STEPS), losses.slice(HALF)) <= 1e-5);
    await resumed.close();
  });
}
