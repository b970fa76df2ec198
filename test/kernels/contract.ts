import test from 'ava';
import type { Kernel, KernelEngine, TensorBuffer, TensorMemory } from '../../runtime/kernels/kernels.ts';
import { KernelError } from '../../runtime/kernels/kernels.ts';
import type { OnnxDType, OnnxGraph } from '../../soap/onnx/model.ts';
import type { ContractCase } from './cases.ts';
import { CASES } from './cases.ts';
import { bufferOf, fill, node, runNode } from '../support/kernel-graphs.ts';
import { mismatch } from './mismatch.ts';

/** What an engine on a device may leave out. */
export interface ContractLimits {
  /** Cases, as `op does`, that it refuses with the name of their node. */
  readonly lacks?: readonly string[];
  /** Whether a run fails where an index is out of range; a GPU does not look. */
  readonly checksIndices?: boolean;
}

/** Declares the tests that every kernel engine passes. */
export function kernelContract(
  create: () => KernelEngine,
  { lacks = [], checksIndices = true }: ContractLimits = {},
): void {
  const engine = create();
  test.after.always(() => engine.close());

  for (const each of CASES) {
    const title = `${each.op} ${each.does}`;
    if (lacks.includes(title)) {
      test(`${title}: refused by name`, async (t) => {
        await t.throwsAsync(runNode(engine, each, each.gives), {
          instanceOf: KernelError,
          message: new RegExp(`does not have 'the ${each.op}' \\(${each.op}\\)`),
        });
      });
      continue;
    }
    test(title, async (t) => {
      t.is(mismatch(each.gives, await runNode(engine, each, each.gives)), undefined);
    });
  }

  buffers(engine);
  refusals(engine);
  if (checksIndices) badIndices(engine);
  releases(create);
}

function buffers(engine: KernelEngine): void {
  test('a chain of nodes runs in order, and buffers may be written between runs', async (t) => {
    const kernel = engine.compile(scaledSum());
    const [x, y] = [engine.allocate('float32', 2), engine.allocate('float32', 2)];
    const bound = kernel.bind({ x, y });
    for (const value of [1, -4]) {
      fill(x.host, [value, value]);
      await engine.upload([x]);
      await bound.run();
      t.deepEqual(await valuesOf(engine, y), [3 * value, 3 * value]);
    }
    kernel.release();
  });

  test('a kernel reads what another wrote, and nothing is brought to the host between', async (t) => {
    const kernel = engine.compile(scaledSum());
    const [x, y, z] = [await floatsOf(engine, 1, 2), engine.allocate('float32', 2), engine.allocate('float32', 2)];
    await kernel.bind({ x, y }).run();
    await kernel.bind({ x: y, y: z }).run();
    t.deepEqual(await valuesOf(engine, z), [9, 18]);
    kernel.release();
  });

  test('a node may write the buffer that it reads', async (t) => {
    const kernel = engine.compile({ ...scaledSum(), nodes: [node('Mul', ['x', 'two'], ['y'])] });
    const x = await floatsOf(engine, 1, -2);
    const bound = kernel.bind({ x, y: x });
    for (let run = 0; run < 3; run++) await bound.run();
    t.deepEqual(await valuesOf(engine, x), [8, -16]);
    kernel.release();
  });

  test('one kernel serves two bindings at once', async (t) => {
    const kernel = engine.compile(scaledSum());
    const pairs = await Promise.all(
      [5, 7].map(async (value) => {
        const [x, y] = [await floatsOf(engine, value, value), engine.allocate('float32', 2)];
        return { value, y, bound: kernel.bind({ x, y }) };
      }),
    );
    await Promise.all(pairs.map(({ bound }) => bound.run()));
    for (const { value, y } of pairs) t.deepEqual(await valuesOf(engine, y), [3 * value, 3 * value]);
    kernel.release();
  });

  const kinds: [OnnxDType, TensorMemory][] = [
    ['float32', new Float32Array(2)],
    ['float64', new Float64Array(1)],
    ['int64', new BigInt64Array(3)],
    ['int32', new Int32Array(1)],
    ['uint8', new Uint8Array(5)],
    ['bool', new Uint8Array(0)],
  ];
  for (const [dtype, expected] of kinds) {
    test(`a new buffer of ${dtype} is zeroed, also where one was released, and keeps what it is given`, async (t) => {
      const buffer = engine.allocate(dtype, expected.length);
      t.is(buffer.dtype, dtype);
      t.is(buffer.length, expected.length);
      await engine.download([buffer]);
      t.deepEqual(buffer.host, expected);
      const values = Array.from({ length: expected.length }, (_, i) => i + 1);
      fill(buffer.host, values);
      await engine.upload([buffer]);
      t.deepEqual(await valuesOf(engine, buffer), values);
    });
  }

  test('many buffers are uploaded and downloaded at once, and none', async (t) => {
    const many = [1, 2, 3].map((value) => {
      const buffer = engine.allocate('float32', 2);
      fill(buffer.host, [value, -value]);
      return buffer;
    });
    await engine.upload(many);
    await engine.download(many);
    t.deepEqual(
      many.map(({ host }) => [...host]),
      [
        [1, -1],
        [2, -2],
        [3, -3],
      ],
    );
    await engine.upload([]);
    await t.notThrowsAsync(engine.download([]));
  });
}

function floatsOf(engine: KernelEngine, ...values: number[]): Promise<TensorBuffer> {
  return bufferOf(engine, 'float32', values);
}

async function valuesOf(engine: KernelEngine, buffer: TensorBuffer): Promise<number[]> {
  await engine.download([buffer]);
  return Array.from<number | bigint, number>(buffer.host, Number);
}

/** The scaled sum on new buffers. */
function bindNew(engine: KernelEngine, kernel: Kernel): ReturnType<Kernel['bind']> {
  return kernel.bind({ x: engine.allocate('float32', 2), y: engine.allocate('float32', 2) });
}

function refusals(engine: KernelEngine): void {
  const refused = (graph: OnnxGraph, message: RegExp): void => {
    test(`to compile a graph is refused with a message that has ${message.source}`, (t) => {
      t.throws(() => engine.compile(graph), { instanceOf: KernelError, message });
    });
  };
  const graph = scaledSum();
  const [first, second] = [graph.nodes[0]!, graph.nodes[1]!];
  refused({ ...graph, nodes: [first, { ...second, opType: 'Bogus' }] }, /'scaled sum'.*'the Add' \(Bogus\)/);
  refused({ ...graph, nodes: [{ ...first, name: 'odd', domain: 'nowhere' }, second] }, /nowhere.*|'odd' \(Mul\).*/);
  refused({ ...graph, nodes: [first, { ...second, inputs: ['lost', 'x'] }] }, /the Add.*lost|lost.*the Add/);
  refused(
    { ...graph, nodes: [{ ...first, attributes: { strange: { type: 'int', value: 1 } } }, second] },
    /the Mul.*strange/,
  );
  refused({ ...graph, inputs: [{ name: 'x', dtype: 'float32', shape: ['batch'] }] }, /symbolic.*'x' \[batch\]/);

  const [two, three] = [engine.allocate('float32', 2), engine.allocate('float32', 3)];
  const bindings: readonly [does: string, tensors: Record<string, TensorBuffer>, message: RegExp][] = [
    ['a wrong length', { x: three, y: two }, /'x' of shape \[2\].*3 elements; expected 2/],
    ['a missing input', { y: two }, /'x' has no buffer/],
    ['a missing output', { x: two }, /'y' has no buffer/],
    ['an unknown name', { x: two, y: two, z: two }, /z is not of this/],
    ['a wrong type', { x: engine.allocate('float64', 2), y: two }, /'x' has a buffer of float64; expected float32/],
  ];
  for (const [does, tensors, message] of bindings) {
    test(`to bind ${does} is refused`, (t) => {
      const kernel = engine.compile(graph);
      t.throws(() => kernel.bind(tensors), { instanceOf: KernelError, message });
      kernel.release();
    });
  }

  test('all that is wrong with a binding is said at once', (t) => {
    const kernel = engine.compile(graph);
    const error = t.throws(() => kernel.bind({ x: three, other: two }));
    t.regex(error.message, /'x'.*3 elements.*'y' has no buffer.*other is not of this graph/);
    kernel.release();
  });

  test('an output of another shape than declared fails the run', async (t) => {
    const kernel = engine.compile({
      ...graph,
      nodes: [node('Neg', ['x'], ['y'])],
      outputs: [{ name: 'y', dtype: 'float32', shape: [3] }],
      initializers: new Map(),
    });
    const bound = kernel.bind({ x: two, y: three });
    await t.throwsAsync(bound.run(), { instanceOf: KernelError });
    kernel.release();
  });
}

function badIndices(engine: KernelEngine): void {
  test('an index out of range fails the run with the node, and the next run works', async (t) => {
    const kernel = engine.compile(gather());
    const [index, y] = [engine.allocate('int64', 1), engine.allocate('float32', 1)];
    const bound = kernel.bind({ x: await floatsOf(engine, 4, 5), index, y });
    index.host[0] = 2n;
    await engine.upload([index]);
    await t.throwsAsync(bound.run(), { instanceOf: KernelError, message: /the Gather/ });
    index.host[0] = 1n;
    await engine.upload([index]);
    await bound.run();
    t.deepEqual(await valuesOf(engine, y), [5]);
    kernel.release();
  });
}

function releases(create: () => KernelEngine): void {
  test('what is released refuses to work, and may be released again', async (t) => {
    const engine = create();
    const kernel = engine.compile(scaledSum());
    const bound = bindNew(engine, kernel);
    bound.release();
    bound.release();
    await t.throwsAsync(bound.run(), { instanceOf: KernelError, message: /released/ });
    const other = bindNew(engine, kernel);
    kernel.release();
    kernel.release();
    await t.throwsAsync(other.run(), { instanceOf: KernelError, message: /released/ });
    const [x, y] = [engine.allocate('float32', 2), engine.allocate('float32', 2)];
    t.throws(() => kernel.bind({ x, y }), { instanceOf: KernelError });
    engine.close();
    engine.close();
  });

  test('a run in flight ends well though everything is released under it', async (t) => {
    const engine = create();
    const kernel = engine.compile(scaledSum());
    const y = engine.allocate('float32', 2);
    const bound = kernel.bind({ x: await floatsOf(engine, 1, 2), y });
    const ended = Promise.all([bound.run(), engine.download([y])]);
    engine.close();
    await ended;
    t.deepEqual([...y.host], [3, 6]);
  });
}

/** y = 2 x + x, of two elements. */
function scaledSum(): OnnxGraph {
  return {
    name: 'scaled sum',
    opset: 17,
    inputs: [{ name: 'x', dtype: 'float32', shape: [2] }],
    outputs: [{ name: 'y', dtype: 'float32', shape: [2] }],
    initializers: new Map([['two', { dtype: 'float32', shape: [], data: Float32Array.of(2) }]]),
    nodes: [node('Mul', ['x', 'two'], ['doubled']), node('Add', ['doubled', 'x'], ['y'])],
  };
}

/** y = x[index]. */
function gather(): OnnxGraph {
  return {
    name: 'gather',
    opset: 17,
    inputs: [
      { name: 'x', dtype: 'float32', shape: [2] },
      { name: 'index', dtype: 'int64', shape: [1] },
    ],
    outputs: [{ name: 'y', dtype: 'float32', shape: [1] }],
    initializers: new Map(),
    nodes: [node('Gather', ['x', 'index'], ['y'])],
  };
}

/** Op types with a case, as `domain:op`. */
export function coveredOps(cases: readonly ContractCase[] = CASES): Set<string> {
  return new Set(cases.map(({ domain = '', op }) => `${domain}:${op}`));
}
