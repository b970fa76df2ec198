import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import type { onnx } from 'onnx-proto';
import { readStored } from '../../operator/planning/model-file.ts';
import { FetchError } from '../../soap/fetch/fetch.ts';
import { parseTrainingJob } from '../../soap/job/parse.ts';
import { decodeOnnx, OnnxError } from '../../soap/onnx/decode.ts';
import { externalDataBeside } from '../../runtime/model/external-data.ts';
import { jobResource } from '../support/kubernetes.ts';
import { folderOf, GOLDEN, splitWeights } from './split-weights.ts';

test('weights in a file beside the model are those of a model that is one file', async (t) => {
  const whole = decodeOnnx(await readFile(join(GOLDEN, 'model.onnx')), 'model.onnx');
  const { model, data } = await splitWeights();
  const folder = await folderOf(t, { model, data });
  t.deepEqual(decodeOnnx(model, 'model.onnx', externalDataBeside(join(folder, 'model.onnx'))), whole);
});

test('without a length, all from the offset on is meant', async (t) => {
  const whole = decodeOnnx(await readFile(join(GOLDEN, 'model.onnx')), 'model.onnx');
  const { model, data } = await splitWeights((entries) => entries.splice(2));
  let last = 0;
  const seen = t.throws(() =>
    decodeOnnx(model, 'model.onnx', (_location, offset, length) => {
      t.is(length, undefined);
      last = offset;
      return data.subarray(offset);
    }),
  );
  t.regex(seen.message, /holds \d+ bytes; expected \d+: the file is damaged/);
  t.is(last, 0);
  t.true(whole.initializers.size > 1);
});

const REFUSED: [string, (entries: onnx.IStringStringEntryProto[]) => void, RegExp][] = [
  [
    'that is not there',
    (entries) => (entries[0]!.value = 'other.bin'),
    /no 'other\.bin' beside model\.onnx.*put it there too/,
  ],
  ['outside of the folder', (entries) => (entries[0]!.value = '../weights.bin'), /'\.\.\/weights\.bin' leads out of/],
  ['that is too short', (entries) => (entries[2]!.value = '99999999'), /has \d+ bytes; expected at least 99999999/],
  ['at an offset that is none', (entries) => (entries[1]!.value = '-1'), /has offset '-1'.*expected a number of bytes/],
  ['without a name', (entries) => entries.splice(0), /stored in another file, ''/],
  ['that is a folder', (entries) => (entries[0]!.value = 'folder'), /stored in another file/],
];
for (const [what, change, message] of REFUSED) {
  test(`data in a file ${what} is refused by the tensor's name`, async (t) => {
    const { model, data } = await splitWeights(change);
    const folder = await folderOf(t, { model, data });
    await mkdir(join(folder, 'folder'));
    const error = t.throws(() => decodeOnnx(model, 'm', externalDataBeside(join(folder, 'model.onnx'))), {
      instanceOf: OnnxError,
      message,
    });
    t.regex(error.message, /^m: tensor '.+' /);
  });
}

test('the controller reads such a model from a ConfigMap as one file', async (t) => {
  const { model, data } = await splitWeights();
  const files = { 'model.onnx': model, 'weights.bin': data };
  const read = (names: readonly (keyof typeof files)[], changed: Partial<typeof files> = {}): Promise<Uint8Array> => {
    const parsed = parseTrainingJob(
      jobResource({ model: { onnx: 'model.onnx' }, storage: { configMap: { name: 'c' } } }),
    );
    if ('problems' in parsed) throw new Error(JSON.stringify(parsed.problems));
    const binaryData = Object.fromEntries(
      names.map((name) => [name, Buffer.from({ ...files, ...changed }[name]).toString('base64')]),
    );
    const core = {
      readNamespacedConfigMap: () => Promise.resolve({ binaryData }),
      readNamespacedPodLog: () => Promise.reject(new Error('no')),
    };
    return readStored('model.onnx', 'model', parsed.job, 'default', { core, hostPathAllowed: false });
  };
  const whole = decodeOnnx(await readFile(join(GOLDEN, 'model.onnx')), 'm');
  t.deepEqual(decodeOnnx(await read(['model.onnx', 'weights.bin']), 'm').initializers, whole.initializers);
  const error = await t.throwsAsync(read(['model.onnx']), {
    message:
      "ConfigMap 'c' has no 'weights.bin'; it has model.onnx: add it, with the values that 'model.onnx' keeps there",
  });
  t.true(error instanceof FetchError && error.passing, 'it may be added later');
  const outside = await splitWeights((entries) => entries.splice(0, 1, { key: 'location', value: '../weights.bin' }));
  const elsewhere = await read(['model.onnx'], { 'model.onnx': outside.model });
  t.throws(() => decodeOnnx(elsewhere, 'm'), {
    message: /stored in another file, '\.\.\/weights\.bin'; expected all weights inside/,
  });
});
