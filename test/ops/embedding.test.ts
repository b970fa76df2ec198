import test from 'ava';
import { createOnnxRuntimeEngine } from '../../runtime/kernels/onnxruntime/engine.ts';
import { createReferenceEngine } from '../../runtime/kernels/reference/engine.ts';
import { buildCase } from '../support/op-case.ts';
import { differences, distance } from '../support/op-checks.ts';
import { runSplit, runWhole, splitsAlongOne } from '../support/op-splits.ts';

const [reference, onnxRuntime] = [createReferenceEngine(), createOnnxRuntimeEngine({ threads: 1 })];
test.after.always(() => onnxRuntime.close());

const [ROWS, WIDTH] = [6, 4];
const TOKENS = [0, -1, 5, -6, -2, 3, -4, 1];

test('tokens that are computed may count from the end of the table, however it is split', async (t) => {
  const fed = buildCase({
    kind: 'embedding',
    inputs: [
      { shape: [2, 4], dtype: 'int64', values: TOKENS },
      { shape: [ROWS, WIDTH], role: 'parameter' },
    ],
    dimensions: [],
  });
  const tensors = fed.graph.tensors.map((each) =>
    each.dtype === 'int64' ? { ...each, role: 'activation' as const } : each,
  );
  const built = { ...fed, graph: { ...fed.graph, tensors } };
  const whole = await runWhole(built, { engine: reference });
  const table = built.inputs[1]!;
  const expected = TOKENS.flatMap((token) => {
    const row = (token + ROWS) % ROWS;
    return table.slice(WIDTH * row, WIDTH * (row + 1));
  });
  t.true(distance(whole.outputs[0]!, expected) <= 1e-6);
  for (const engine of [reference, onnxRuntime]) {
    for (const degrees of splitsAlongOne(built)) {
      t.deepEqual(
        differences(await runSplit(built, degrees, { engine }), whole, 1e-5),
        [],
        `${engine.name} [${degrees}]`,
      );
    }
  }
});
