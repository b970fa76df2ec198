import { runGraph } from '../support/kernel-graphs.ts';
import { cp, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { createOnnxRuntimeEngine } from '../../runtime/kernels/onnxruntime/engine.ts';
import { decodeOnnx } from '../../soap/onnx/decode.ts';
import type { OnnxTensor } from '../../soap/onnx/model.ts';
import { decodeSafetensors, encodeSafetensors } from '../../soap/safetensors/safetensors.ts';
import { soapstoneProcess } from '../support/soapstone.ts';
import { folder } from '../checkpoint/support.ts';
import { relativeError } from '../support/train-in-memory.ts';

const engine = createOnnxRuntimeEngine({ threads: 1 });
test.after.always(() => engine.close());

/** Fills no number of micro-batches of 8. */
const EVALUATED = 61;

/** The first samples of each tensor. */
function firstSamples(tensors: ReadonlyMap<string, OnnxTensor>, samples: number): Map<string, OnnxTensor> {
  return new Map(
    Array.from(tensors, ([name, { shape, data, ...rest }]) => {
      const [all, ...others] = shape;
      const part = data.slice(0, (samples * data.length) / all!);
      return [name, { ...rest, shape: [samples, ...others], data: part }] as const;
    }),
  );
}

test('ONNX Runtime has the loss and accuracy of the last evaluation with the file that a run leaves, batch normalizations included', async (t) => {
  const directory = await folder(t);
  await cp(new URL('../golden/resnet/', import.meta.url), directory, { recursive: true });
  const job = join(directory, 'job.yaml');
  const evaluating = '  evaluation: { dataset: { safetensors: evaluated.safetensors } }\n';
  const all = decodeSafetensors(await readFile(join(directory, 'data.safetensors')), 'data');
  const tensors = firstSamples(all.tensors, EVALUATED);
  await writeFile(join(directory, 'evaluated.safetensors'), encodeSafetensors(tensors));
  const text = (await readFile(job, 'utf8')).replace('steps: 12', 'steps: 6\n    gradientAccumulationSteps: 2');
  await writeFile(job, `${text}${evaluating}  checkpoint: { directory: checkpoints, everySteps: 6 }\n`);
  const { code, stdout, stderr } = await soapstoneProcess(
    'run',
    job,
    '--devices',
    '2',
    '--strategy',
    'data',
    '--output',
    'json',
  );
  t.is(code, 0, stderr);
  const { evaluation, model }: { evaluation: { accuracy: number; loss: number }; model: string } = JSON.parse(stdout);
  const onnx = decodeOnnx(await readFile(model));
  const [inputs, targets] = [tensors.get(onnx.inputs[0]!.name)!, tensors.get('targets')!];
  const samples = targets.data.length;
  const fixed = ({ shape, ...value }: (typeof onnx.inputs)[number]) => ({
    ...value,
    shape: [samples, ...shape.slice(1)],
  });
  const whole = { ...onnx, inputs: onnx.inputs.map(fixed), outputs: onnx.outputs.map(fixed) };
  const { [onnx.outputs[0]!.name]: logits } = await runGraph(engine, whole, { [onnx.inputs[0]!.name]: inputs.data });
  const classes = logits!.length / samples;
  let [right, lossSum] = [0, 0];
  targets.data.forEach((target, row) => {
    const own = Array.from(logits!.subarray(row * classes, (row + 1) * classes), Number);
    if (own.indexOf(Math.max(...own)) === Number(target)) right += 1;
    lossSum += Math.log(own.reduce((sum, each) => sum + Math.exp(each), 0)) - own[Number(target)]!;
  });
  t.is(samples, EVALUATED);
  t.is(evaluation.accuracy, right / samples);
  t.true(relativeError([evaluation.loss], [lossSum / samples]) <= 1e-5, `${evaluation.loss}, not ${lossSum / samples}`);
  t.true(right > 0 && right < samples, `${right} of ${samples}: the case is worth a test`);
});
