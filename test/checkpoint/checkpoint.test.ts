import { createHash } from 'node:crypto';
import { execFileSync } from 'node:child_process';
import fsPromises, {
  appendFile,
  cp,
  mkdir,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  symlink,
  truncate,
  writeFile,
} from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import { join } from 'node:path';
import test from 'ava';
import { parse } from 'yaml';
import { decodeIndex, encodeIndex, INDEX_NAME, readIndex } from '../../runtime/checkpoint/index-file.ts';
import { latestCheckpoint } from '../../runtime/checkpoint/read.ts';
import { runSettings } from '../../runtime/checkpoint/run-settings.ts';
import { writeWhole } from '../../runtime/storage/whole-file.ts';
import { createOnnxRuntimeEngine } from '../../runtime/kernels/onnxruntime/engine.ts';
import { parseTrainingJob } from '../../soap/job/parse.ts';
import type { TrainingJob } from '../../soap/job/training-job.ts';
import { builtinModel } from '../../soap/models/index.ts';
import { decodeSafetensors } from '../../soap/safetensors/safetensors.ts';
import { ADAM, folder, testRun } from './support.ts';
import { curve, PLANS, trained } from './plans.ts';

const engine = createOnnxRuntimeEngine({ threads: 1 });
test.after.always(() => engine.close());

test.serial('every device writes an even share, each element once, in files that the index lists', async (t) => {
  const directory = await folder(t);
  await trained({ directory, engine }, PLANS.data4, 1);
  const path = join(directory, 'step-00000001');
  const { metadata, files, weight_map: map } = await readIndex(path);
  const names = Object.keys(files);
  t.deepEqual(
    names,
    [1, 2, 3, 4].map((n) => `model-0000${n}-of-00004.safetensors`),
  );
  const sizes = Object.values(files).map(({ bytes }) => bytes);
  t.true(Math.max(...sizes) <= 1.5 * Math.min(...sizes), `sizes ${sizes}`);
  let total = 0;
  for (const name of names) {
    const { tensors } = decodeSafetensors(await readFile(join(path, name)), name);
    for (const [tensor, { data }] of tensors) {
      t.is(map[tensor], name);
      total += data.byteLength;
    }
  }
  t.is(total, metadata.total_size);
  t.deepEqual(
    { ...metadata.run, step: metadata.step, source: metadata.source, model: '' },
    {
      model: '',
      optimizer: 'adamw',
      seed: 5,
      samples: 24,
      shuffle: true,
      batchSize: 8,
      step: 1,
      source: { builtin: { name: 'lenet' } },
    },
  );
});

/** Reads a file by the published format alone, in another language. Source: https://github.com/huggingface/safetensors#format */
const INDEPENDENT_READER = `
import json, struct, sys
raw = open(sys.argv[1], 'rb').read()
(n,) = struct.unpack('<Q', raw[:8])
header = json.loads(raw[8:8 + n])
assert all(isinstance(v, str) for v in header.pop('__metadata__').values())
end = 0
for name, entry in sorted(header.items(), key=lambda item: item[1]['data_offsets']):
    begin, stop = entry['data_offsets']
    count = 1
    for extent in entry['shape']: count *= extent
    assert entry['dtype'] == 'F32' and begin == end and stop - begin == 4 * count, name
    end = stop
assert 8 + n + end == len(raw) and (8 + n) % 8 == 0
first = header['weight/conv1.bias']
print(json.dumps(struct.unpack('<%df' % first['shape'][0], raw[8 + n + first['data_offsets'][0]:8 + n + first['data_offsets'][1]])))
`;

test.serial('a reader written from the published format alone finds the same values', async (t) => {
  const directory = await folder(t);
  await trained({ directory, engine }, PLANS.one, 1);
  const path = join(directory, 'step-00000001', 'model-00001-of-00001.safetensors');
  const { tensors } = decodeSafetensors(await readFile(path));
  const values: unknown = JSON.parse(execFileSync('python3', ['-c', INDEPENDENT_READER, path]).toString());
  t.deepEqual(values, Array.from(tensors.get('weight/conv1.bias')!.data, Number));
});

test.serial('only the newest are kept, and no other file is touched', async (t) => {
  const directory = await folder(t);
  await writeFile(join(directory, 'notes.txt'), 'mine');
  await mkdir(join(directory, 'step-1'));
  const run = await testRun({ directory, engine, ...PLANS.data2, keep: 2 });
  for (const step of [1, 2, 99_999_999, 100_000_000]) await run.save(step);
  t.deepEqual((await readdir(directory)).toSorted(), ['notes.txt', 'step-1', 'step-100000000', 'step-99999999']);
  t.is((await latestCheckpoint(directory)).folder, join(directory, 'step-100000000'));
  await run.close();
});

const DAMAGES: [string, (folder: string) => Promise<void>, RegExp][] = [
  [
    'a cut shard file',
    (path) => truncate(join(path, 'model-00002-of-00002.safetensors'), 5000),
    /has 5000 bytes; expected \d+: it is damaged/,
  ],
  [
    'a longer shard file',
    (path) => appendFile(join(path, 'model-00001-of-00002.safetensors'), 'x'),
    /bytes; expected \d+: it is damaged/,
  ],
  [
    'a flipped bit',
    (path) => flip(join(path, 'model-00001-of-00002.safetensors'), -7),
    /has SHA-256 \w+; expected \w+: it is damaged/,
  ],
  [
    'a missing shard file',
    (path) => rm(join(path, 'model-00001-of-00002.safetensors')),
    /cannot read 'model-00001-of-00002.*there is no such file/,
  ],
  [
    'a missing index',
    (path) => rm(join(path, INDEX_NAME)),
    /has no model.safetensors.index.json; expected a checkpoint/,
  ],
  [
    'an index cut off',
    (path) => truncate(join(path, INDEX_NAME), 700),
    /is not JSON \(700 characters\); it is truncated/,
  ],
  [
    'an index with another step',
    (path) => replaceInIndex(path, '"step": 2', '"step": 7'),
    /has checksum ".*; expected \w+: it was changed/,
  ],
  [
    'an empty index',
    (path) => writeFile(join(path, INDEX_NAME), '{}'),
    /is no index of a checkpoint: metadata: is missing/,
  ],
  [
    'a foreign index',
    (path) => writeFile(join(path, INDEX_NAME), '{"metadata":{"total_size":1},"weight_map":{}}'),
    /is no index of a checkpoint/,
  ],
];

async function flip(path: string, at: number): Promise<void> {
  const bytes = await readFile(path);
  bytes[bytes.length + at]! ^= 4;
  await writeFile(path, bytes);
}

async function replaceInIndex(path: string, from: string, to: string): Promise<void> {
  const text = await readFile(join(path, INDEX_NAME), 'utf8');
  await writeFile(join(path, INDEX_NAME), text.replace(from, to));
}

for (const [what, damage, sentence] of DAMAGES) {
  test.serial(`${what} is passed over, with a sentence, for the whole checkpoint before it`, async (t) => {
    const directory = await folder(t);
    const run = await testRun({ directory, engine, ...PLANS.data2 });
    for (const step of [1, 2]) await run.save(step);
    await damage(join(directory, 'step-00000002'));
    t.is(await run.begin(true), 1);
    t.is(run.notices.length, 1);
    t.regex(run.notices[0]!, sentence);
    t.regex(run.notices[0]!, /going on from .*step-00000001 in its place$/);
    await run.save(2);
    t.is(await run.begin(true), 2, 'the damaged one is replaced');
    await run.close();
  });
}

test.serial(
  'an index whose boxes miss a part of a parameter, overlap, or lead elsewhere is no whole checkpoint',
  async (t) => {
    const directory = await folder(t);
    await trained({ directory, engine }, PLANS.data4, 1);
    const path = join(directory, 'step-00000001');
    const index = await readIndex(path);
    const [name = ''] = Object.keys(index.boxes).filter((each) => each.includes('['));
    const { [name]: box, ...others } = index.boxes;
    t.truthy(box);
    const [file = ''] = Object.keys(index.files);
    const cases = [
      { ...index, boxes: others },
      {
        ...index,
        boxes: { ...index.boxes, [name]: { ...box!, region: [[0, 1e9] as const, ...box!.region.slice(1)] } },
      },
      { ...index, files: { '../outside.safetensors': index.files[file]! } },
    ];
    for (const changed of cases) {
      await writeFile(join(path, INDEX_NAME), encodeIndex(changed));
      const { folder: found, passedOver } = await latestCheckpoint(directory);
      t.is(found, undefined);
      t.regex(passedOver[0]!, /it is not whole|do not belong together|is no index/);
    }
    t.deepEqual(decodeIndex(encodeIndex(index), 'the index'), index);
  },
);

test.serial('a directory that cannot be listed is not taken for one without checkpoints', async (t) => {
  const directory = await folder(t);
  t.is((await latestCheckpoint(join(directory, 'nothing'))).folder, undefined);
  await symlink('loop', join(directory, 'loop'));
  await t.throwsAsync(latestCheckpoint(join(directory, 'loop')), {
    message: /cannot list the checkpoints in .*ELOOP.*; see that the volume is mounted and readable/,
  });
});

test.serial(
  'what killed writers left behind is no checkpoint, and a later one of the step does not keep it',
  async (t) => {
    const directory = await folder(t);
    const run = await testRun({ directory, engine, ...PLANS.data2 });
    await run.save(1);
    const partial = join(directory, '.step-00000002.partial');
    await cp(join(directory, 'step-00000001'), partial, { recursive: true });
    await writeFile(join(partial, 'model-00003-of-00003.safetensors'), 'of three devices');
    await mkdir(join(directory, '.step-00000137.partial'));
    t.is(await run.begin(true), 1);
    t.deepEqual(await readdir(directory), ['step-00000001'], 'of steps that may never come again too');
    t.deepEqual(run.notices, []);
    await cp(join(directory, 'step-00000001'), partial, { recursive: true });
    await writeFile(join(partial, 'model-00003-of-00003.safetensors'), 'of three devices');
    const saved = await run.save(2);
    t.deepEqual((await readdir(saved!)).toSorted(), [...Object.keys((await readIndex(saved!)).files), INDEX_NAME]);
    await run.close();
  },
);

/** Lets a function of the file system fail for paths with a word in them, until what is returned is called. */
function failing(name: 'stat' | 'rm', word: string, code: string): () => void {
  const original = fsPromises[name];
  const fails = async (path: string, ...rest: unknown[]): Promise<unknown> => {
    if (path.includes(word)) throw Object.assign(new Error(`${code}: it does`), { code });
    return Reflect.apply(original, fsPromises, [path, ...rest]);
  };
  const set = (value: unknown): void => {
    Object.defineProperty(fsPromises, name, { value, configurable: true, writable: true, enumerable: true });
    syncBuiltinESMExports();
  };
  set(fails);
  return () => set(original);
}

test.serial('a volume that does not answer is no damage: nothing is passed over for it', async (t) => {
  const directory = await folder(t);
  const run = await testRun({ directory, engine, ...PLANS.data2 });
  for (const step of [1, 2]) await run.save(step);
  for (const file of ['step-00000002/model.safetensors.index', 'step-00000002/model-00002']) {
    const restore = failing('stat', file, 'ESTALE');
    await t.throwsAsync(run.begin(true), { message: /cannot read .*ESTALE/ });
    restore();
  }
  t.deepEqual(run.notices, []);
  t.is(await run.begin(true), 2);
  await run.close();
});

test.serial('an old checkpoint that cannot be removed is told, and the new one counts', async (t) => {
  const directory = await folder(t);
  const run = await testRun({ directory, engine, ...PLANS.data2, keep: 1 });
  await run.save(1);
  t.teardown(failing('rm', 'step-00000001', 'EBUSY'));
  t.is(await run.save(2, true), join(directory, 'step-00000002'));
  t.regex(
    run.notices.join(),
    /^cannot remove the old checkpoint .*step-00000001: EBUSY: .*; see that nothing has it open$/,
  );
  await run.close();
});

test.serial('damaged folders of later steps take no place of whole checkpoints', async (t) => {
  const directory = await folder(t);
  const run = await testRun({ directory, engine, ...PLANS.one, keep: 2 });
  for (const step of [1, 2]) await run.save(step);
  await mkdir(join(directory, 'step-00000009'));
  t.is(await run.begin(true), 2);
  await run.save(3);
  t.deepEqual((await readdir(directory)).toSorted(), ['step-00000002', 'step-00000003', 'step-00000009']);
  await run.close();
});

test.serial('while the loss is no number, checkpoints before stay, and only the last is written', async (t) => {
  const directory = await folder(t);
  const run = await testRun({ directory, engine, ...PLANS.data2, keep: 1 });
  await run.save(1);
  t.is(await run.save(2, false, false), undefined);
  t.is(await run.save(3, true, false), join(directory, 'step-00000003'));
  t.deepEqual((await readdir(directory)).toSorted(), ['step-00000001', 'step-00000003']);
  await run.close();
});

async function mlpSpec(): Promise<TrainingJob['spec']> {
  const path = new URL('../golden/mlp/job.yaml', import.meta.url);
  const parsed = parseTrainingJob(parse(await readFile(path, 'utf8')));
  if ('problems' in parsed) throw new Error('golden mlp is no job');
  return parsed.job.spec;
}

test.serial('whoever goes on from a checkpoint of other settings is told which', async (t) => {
  const directory = await folder(t);
  const spec = await mlpSpec();
  const settings = runSettings(spec, new Map([['w', Float32Array.of(1, 2)]]));
  await trained({ directory, engine }, PLANS.data2, 1, { settings });
  const same = await testRun({ directory, engine, settings, ...PLANS.data2 });
  t.is(await same.begin(true), 1);
  t.deepEqual(same.notices, []);
  await same.close();
  const changed = {
    ...spec,
    dataset: { safetensors: 'fixed.safetensors', shuffle: spec.dataset.shuffle },
    training: { ...spec.training, optimizer: { ...spec.training.optimizer, learningRate: 0.5 } },
  };
  const others = runSettings(changed, new Map([['w', Float32Array.of(1, 3)]]));
  const other = await testRun({ directory, engine, settings: others, ...PLANS.data2 });
  t.is(await other.begin(true), 1);
  t.is(other.notices.length, 1, 'the leader tells it for all');
  for (const clause of [
    /^the checkpoint after 1 steps, from which this run goes on, was written by another: /,
    /dataset\.safetensors was "data\.safetensors", and is "fixed\.safetensors"/,
    /training\.optimizer\.learningRate was 0\.05, and is 0\.5/,
    /training began with other weights/,
    /; to begin anew, choose another checkpoint\.directory$/,
  ])
    t.regex(other.notices[0]!, clause);
  await other.close();
});

test.serial(
  'a checkpoint has the values of frozen parameters as they are, and a run goes on from it under any plan',
  async (t) => {
    const directory = await folder(t);
    const frozen = ['conv1.*', 'fc1.weight'];
    await trained({ directory, engine }, PLANS.data2, 2, { frozen });
    const path = join(directory, 'step-00000002');
    const { weight_map: map } = await readIndex(path);
    const { weights } = builtinModel('lenet', 8, 5);
    const stored = new Map<string, Float32Array>();
    for (const name of new Set(Object.values(map))) {
      const { tensors } = decodeSafetensors(await readFile(join(path, name)), name);
      for (const [tensor, { data }] of tensors) stored.set(tensor, Float32Array.from(data, Number));
    }
    const ofFrozen = [...stored.keys()].filter((name) => /\/(conv1|fc1\.weight)/.test(name));
    t.deepEqual([...new Set(ofFrozen.map((name) => name.split('/')[0]))], ['weight']);
    const pieces = ofFrozen.filter((name) => name.startsWith('weight/fc1.weight')).toSorted();
    t.deepEqual(
      pieces.flatMap((name) => [...stored.get(name)!]),
      [...weights.get('fc1.weight')!],
    );
    t.deepEqual(stored.get('weight/conv1.bias'), weights.get('conv1.bias'));
    t.true([...stored.keys()].some((name) => name.startsWith('average/conv2.weight')));
    const through = await testRun({ directory: await folder(t), engine, ...PLANS.data2, frozen });
    const expected = await curve(through, 0, 4);
    await through.close();
    for (const plan of [PLANS.data2, PLANS.model2, PLANS.random4]) {
      const run = await testRun({ directory, engine, ...plan, frozen });
      t.is(await run.begin(true), 2);
      const losses = await curve(run, 2, 4);
      for (const [i, loss] of losses.entries()) t.true(Math.abs(loss - expected[2 + i]!) < 1e-4 * loss, `${loss}`);
      if (plan === PLANS.data2) t.deepEqual(losses, expected.slice(2));
      await run.close();
    }
  },
);

for (const [what, other, sentence] of [
  ['another seed', { seed: 6 }, /was written with seed 5; expected 6 of this job: train on as the run that wrote it/],
  [
    'another optimizer',
    { optimizer: { ...ADAM, name: 'adam' } },
    /written with optimizer adamw; expected adam of this/,
  ],
  [
    'other frozen parameters',
    { frozen: ['conv1.*'] },
    /written with frozen parameters none; expected conv1\.weight, conv1\.bias of this job: train on as/,
  ],
] as const) {
  test.serial(`a checkpoint of ${what} is refused with the cure`, async (t) => {
    const directory = await folder(t);
    await trained({ directory, engine }, PLANS.one, 1);
    const run = await testRun({ directory, engine, ...PLANS.one, ...other });
    await t.throwsAsync(run.begin(true), { message: sentence });
    await run.close();
  });
}

test.serial(
  'devices that do not share a volume: no checkpoint, with a sentence, and the last step fails',
  async (t) => {
    const [here, there] = [await folder(t), await folder(t)];
    const run = await testRun({ directory: here, directories: [here, there], engine, ...PLANS.data2 });
    t.is(await run.save(1), undefined);
    t.regex(run.notices[0]!, /sees no such file; expected checkpoint\.directory on one volume that all pods share/);
    await t.throwsAsync(run.save(2, true), { message: /no checkpoint of the last step: .*ReadWriteMany/ });
    t.deepEqual((await latestCheckpoint(here)).folder, undefined);
    await run.close();
  },
);

test.serial(
  'a disk that is full: the checkpoint before stays, the run goes on, and the next one is written',
  async (t) => {
    const directory = await folder(t);
    const run = await testRun({ directory, engine, ...PLANS.data2 });
    await run.save(1);
    // Linux: a device on which every write fails with ENOSPC, in the place of a shard's partial file. See full(4).
    const partial = join(directory, '.step-00000002.partial');
    await mkdir(partial);
    execFileSync('mknod', [join(partial, '.model-00002-of-00002.safetensors.partial'), 'c', '1', '7']);
    t.is(await run.save(2), undefined);
    t.regex(
      run.notices[0]!,
      /^no checkpoint after 2 steps: device 1: cannot write '.*': ENOSPC: .*not full; the run goes without/,
    );
    t.is(await run.begin(true), 1);
    t.is(await run.save(3), join(directory, 'step-00000003'));
    t.deepEqual((await readdir(directory)).toSorted(), ['step-00000001', 'step-00000003']);
    await run.close();
  },
);

test.serial('a run from the start moves the checkpoints of earlier ones into folders, and loses none', async (t) => {
  const directory = join(await folder(t), 'made', 'when needed');
  const run = await testRun({ directory, engine, ...PLANS.one });
  for (const [step, archive] of [
    [1, 'previous'],
    [2, 'previous-2'],
    [3, 'previous-3'],
  ] as const) {
    await run.save(step);
    await writeFile(join(directory, 'trained.onnx'), archive);
    t.is(await run.begin(false), 0);
    t.deepEqual((await readdir(join(directory, archive))).toSorted(), [`step-0000000${step}`, 'trained.onnx']);
    t.regex(run.notices.at(-1)!, new RegExp(`in .+/${archive} now: .* --resume$`));
  }
  t.deepEqual((await readdir(directory)).toSorted(), ['previous', 'previous-2', 'previous-3']);
  t.is(await run.begin(false), 0);
  t.is(run.notices.length, 3, 'nothing is said where there was nothing to move');
  await run.close();
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

test('a file of parts that are written in several pieces has all of their bytes, and their hash', async (t) => {
  const path = join(await folder(t), 'file');
  const large = Buffer.alloc(33 * 2 ** 20, 'a b c');
  const parts = [Buffer.from('first'), large, Buffer.alloc(0), Buffer.from('last')];
  const whole = Buffer.concat(parts);
  const sha256 = createHash('sha256').update(whole).digest('hex');
  t.deepEqual(await writeWhole(path, parts), { bytes: whole.length, sha256 });
  t.is(whole.compare(await readFile(path)), 0);
});

test.serial('a folder that cannot be made is a sentence with the cure', async (t) => {
  const directory = await folder(t);
  await writeFile(join(directory, 'file'), '');
  const run = await testRun({ directory: join(directory, 'file'), engine, ...PLANS.one });
  await t.throwsAsync(run.begin(false), {
    message: /^cannot write '.*file': .*; see that the volume is mounted, writable/,
  });
  await rename(join(directory, 'file'), join(directory, 'moved'));
  t.is(await run.begin(false), 0);
  t.true((await stat(join(directory, 'file'))).isDirectory());
  await run.close();
});
