import { mkdir, mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import test from 'ava';
import type { Checkpoint } from '../../runtime/checkpoint/checkpoint.ts';
import {
  archiveCheckpoints,
  latestCheckpoint,
  writeCheckpoint,
  writeWhole,
} from '../../runtime/checkpoint/checkpoint.ts';
import type { OnnxTensor } from '../../soap/onnx/model.ts';
import { decodeSafetensors } from '../../soap/safetensors/safetensors.ts';

const MODEL = 'model-1';
const tensor = (...values: number[]): OnnxTensor => ({
  dtype: 'float32',
  shape: [values.length],
  data: Float32Array.from(values),
});
const checkpointAt = (step: number): Checkpoint => ({
  step,
  model: MODEL,
  weights: new Map([['fc.weight', tensor(step, 0.5)]]),
  optimizer: new Map([['momentum', new Map([['fc.weight', tensor(-step, 0.25)]])]]),
});

async function folder(t: ExecutionContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'soapstone-checkpoint-'));
  t.teardown(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

test('the newest checkpoint is read back with its step, weights and optimizer state', async (t) => {
  const directory = join(await folder(t), 'made', 'when needed');
  for (const step of [5, 10, 20]) await writeCheckpoint(directory, checkpointAt(step), 3);
  t.deepEqual(await latestCheckpoint(directory, MODEL), checkpointAt(20));
});

test('a checkpoint is a safetensors file that names its step and model', async (t) => {
  const path = await writeCheckpoint(await folder(t), checkpointAt(100), 1);
  t.regex(path, /step-00000100\.safetensors$/);
  const { tensors, metadata } = decodeSafetensors(await readFile(path));
  t.deepEqual({ ...metadata }, { step: '100', model: MODEL });
  t.deepEqual([...tensors.keys()], ['weight/fc.weight', 'momentum/fc.weight']);
});

test('only the newest are kept, and no other file is touched', async (t) => {
  const directory = await folder(t);
  await writeFile(join(directory, 'notes.txt'), 'mine');
  await writeFile(join(directory, 'step-1.safetensors'), 'mine too');
  for (const step of [1, 2, 3, 4]) await writeCheckpoint(directory, checkpointAt(step), 2);
  t.deepEqual((await readdir(directory)).toSorted(), [
    'notes.txt',
    'step-00000003.safetensors',
    'step-00000004.safetensors',
    'step-1.safetensors',
  ]);
});

test('steps are compared as numbers, also beyond eight digits', async (t) => {
  const directory = await folder(t);
  for (const step of [99_999_999, 100_000_000]) await writeCheckpoint(directory, checkpointAt(step), 2);
  t.is((await latestCheckpoint(directory, MODEL))?.step, 100_000_000);
});

test('a checkpoint cut off at any byte is passed over for the whole one before it', async (t) => {
  const directory = await folder(t);
  await writeCheckpoint(directory, checkpointAt(1), 3);
  const path = await writeCheckpoint(directory, checkpointAt(2), 3);
  const { length } = await readFile(path);
  for (let size = length - 1; size >= 0; size--) {
    await truncate(path, size);
    t.is((await latestCheckpoint(directory, MODEL))?.step, 1, `cut to ${size} bytes`);
  }
});

test('a whole checkpoint is never removed in favour of damaged ones of later steps', async (t) => {
  const directory = await folder(t);
  for (const step of [30, 40]) await writeFile(join(directory, `step-000000${step}.safetensors`), 'damaged');
  for (const step of [10, 20]) await writeCheckpoint(directory, checkpointAt(step), 1);
  t.deepEqual(await latestCheckpoint(directory, MODEL), checkpointAt(20));
});

test('what a killed writer left behind is not taken for a checkpoint', async (t) => {
  const directory = await folder(t);
  await writeCheckpoint(directory, checkpointAt(1), 3);
  await writeFile(join(directory, '.step-00000002.safetensors.partial'), 'half of it');
  t.is((await latestCheckpoint(directory, MODEL))?.step, 1);
});

test('a folder that is empty or missing has no checkpoint', async (t) => {
  const directory = await folder(t);
  t.is(await latestCheckpoint(directory, MODEL), undefined);
  t.is(await latestCheckpoint(join(directory, 'missing'), MODEL), undefined);
});

test('a checkpoint of another model is refused with the cure', async (t) => {
  const directory = await folder(t);
  await writeCheckpoint(directory, checkpointAt(1), 3);
  await t.throwsAsync(latestCheckpoint(directory, 'model-2'), {
    message: /'step-00000001\.safetensors' .* is of model model-1; expected model-2: choose another/,
  });
});

test('a file appears whole or not at all: what was there stays when writing fails', async (t) => {
  const directory = await folder(t);
  const path = join(directory, 'file');
  await writeWhole(path, [Buffer.from('old')]);
  const failing: Uint8Array[] = [Buffer.from('new')];
  Object.defineProperty(failing, 1, {
    enumerable: true,
    get: () => {
      throw new Error('disk full');
    },
  });
  await t.throwsAsync(writeWhole(path, failing), { message: /^cannot write .*: disk full; see that the volume/ });
  t.is(await readFile(path, 'utf8'), 'old');
  t.deepEqual(await readdir(directory), ['file']);
});

test('a folder that cannot be made is a sentence with the cure', async (t) => {
  const directory = await folder(t);
  await writeFile(join(directory, 'file'), '');
  await t.throwsAsync(writeCheckpoint(join(directory, 'file'), checkpointAt(1), 1), {
    message: /^cannot write '.*step-00000001\.safetensors': .*; see that the volume is mounted, writable and not full$/,
  });
});

test('a run from the start moves the checkpoints of an earlier one into a folder, once more each time', async (t) => {
  const directory = await folder(t);
  await archiveCheckpoints(join(directory, 'missing'));
  await mkdir(join(directory, 'other'));
  for (const step of [1, 2]) {
    await writeCheckpoint(directory, checkpointAt(step), 3);
    await archiveCheckpoints(directory);
    t.is(await latestCheckpoint(directory, MODEL), undefined);
    t.is((await latestCheckpoint(join(directory, 'previous'), MODEL))?.step, step);
  }
  t.deepEqual((await readdir(directory)).toSorted(), ['other', 'previous']);
});
