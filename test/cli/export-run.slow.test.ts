import { runGraph } from '../kernels/graphs.ts';
import { cp, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { createOnnxRuntimeEngine } from '../../runtime/kernels/onnxruntime/engine.ts';
import { decodeOnnx } from '../../soap/onnx/decode.ts';
import { decodeSafetensors } from '../../soap/safetensors/safetensors.ts';
import { soapstoneProcess } from '../support/soapstone.ts';
import { folder } from '../checkpoint/support.ts';

const engine = createOnnxRuntimeEngine({ threads: 1 });
test.after.always(() => engine.close());

test('ONNX Runtime has the accuracy of the last evaluation with the file that a run leaves, batch normalizations included', async (t) => {
  const directory = await folder(t);
  await cp(new URL('../golden/resnet/', import.meta.url), directory, { recursive: true });
  const job = join(directory, 'job.yaml');
  const evaluating = '  evaluation: { dataset: { safetensors: data.safetensors } }\n';
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
  const { tensors } = decodeSafetensors(await readFile(join(directory, 'data.safetensors')), 'data');
  const [inputs, targets] = [tensors.get(onnx.inputs[0]!.name)!, tensors.get('targets')!];
  const samples = targets.data.length;
  const fixed = ({ shape, ...value }: (typeof onnx.inputs)[number]) => ({
    ...value,
    shape: [samples, ...shape.slice(1)],
  });
  const whole = { ...onnx, inputs: onnx.inputs.map(fixed), outputs: onnx.outputs.map(fixed) };
  const { [onnx.outputs[0]!.name]: logits } = await runGraph(engine, whole, { [onnx.inputs[0]!.name]: inputs.data });
  const classes = logits!.length / samples;
  let right = 0;
  targets.data.forEach((target, row) => {
    const own = Array.from(logits!.subarray(row * classes, (row + 1) * classes), Number);
    if (own.indexOf(Math.max(...own)) === Number(target)) right += 1;
  });
  t.is(evaluation.accuracy, right / samples);
  t.true(right > 0 && right < samples, `${right} of ${samples}: the case is worth a test`);
});
