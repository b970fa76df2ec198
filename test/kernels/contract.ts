import test from 'ava';
import type { KernelEngine, TensorMemory } from '../../runtime/kernels/kernels.ts';
import { KernelError } from '../../runtime/kernels/kernels.ts';
import type { OnnxGraph, OnnxTensor } from '../../soap/onnx/model.ts';
import type { ContractCase } from './cases.ts';
import { CASES } from './cases.ts';
import { node, runNode } from './graphs.ts';

/** Of each element, relative to the largest of the tensor; float32 sums differ by their order. */
const TOLERANCE = 2e-6;

/** Declares the tests that every kernel engine passes. */
export function kernelContract(create: () => KernelEngine): void {
  const engine = create();
  test.after.always(() => engine.close());

  for (const each of CASES) {
    test(`${each.op} ${each.does}`, async (t) => {
      t.is(mismatch(each.gives, await runNode(engine, each, each.gives)), undefined);
    });
  }

  test('a chain of nodes runs in order, and memory may be rewritten between runs', async (t) => {
    const kernel = engine.compile(scaledSum());
    const [x, y] = [engine.allocate('float32', 2), engine.allocate('float32', 2)];
    const bound = kernel.bind({ x, y });
    for (const value of [1, -4]) {
      if (x instanceof Float32Array) x.fill(value);
      await bound.run();
      t.deepEqual([...y], [3 * value, 3 * value]);
    }
    kernel.release();
  });

  test('one kernel serves two bindings at once', async (t) => {
    const kernel = engine.compile(scaledSum());
    const pairs = [5, 7].map((value) => {
      const [x, y] = [Float32Array.of(value, value), new Float32Array(2)];
      return { value, y, bound: kernel.bind({ x, y }) };
    });
    await Promise.all(pairs.map(({ bound }) => bound.run()));
    for (const { value, y } of pairs) t.deepEqual([...y], [3 * value, 3 * value]);
    kernel.release();
  });

  test('memory may be a part of a larger buffer', async (t) => {
    const kernel = engine.compile(scaledSum());
    const buffer = Float32Array.of(1, 2, 3, 4, 5, 6);
    await kernel.bind({ x: buffer.subarray(1, 3), y: buffer.subarray(3, 5) }).run();
    t.deepEqual([...buffer], [1, 2, 3, 6, 9, 6]);
    kernel.release();
  });

  test('new memory is zeroed and of the type asked for', (t) => {
    t.deepEqual(engine.allocate('float32', 2), new Float32Array(2));
    t.deepEqual(engine.allocate('float64', 1), new Float64Array(1));
    t.deepEqual(engine.allocate('int64', 3), new BigInt64Array(3));
    t.deepEqual(engine.allocate('int32', 1), new Int32Array(1));
    t.deepEqual(engine.allocate('bool', 0), new Uint8Array(0));
  });

  refusals(engine);
  releases(create);
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

  const bindings: readonly [does: string, tensors: Record<string, TensorMemory>, message: RegExp][] = [
    [
      'a wrong length',
      { x: new Float32Array(3), y: new Float32Array(2) },
      /'x' of shape \[2\].*3 elements; expected 2/,
    ],
    ['a missing input', { y: new Float32Array(2) }, /'x' has no memory/],
    ['a missing output', { x: new Float32Array(2) }, /'y' has no memory/],
    ['an unknown name', { x: new Float32Array(2), y: new Float32Array(2), z: new Float32Array(2) }, /z is not of this/],
    ['a wrong type', { x: new Float64Array(2), y: new Float32Array(2) }, /'x' has a Float64Array; expected float32/],
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
    const error = t.throws(() => kernel.bind({ x: new Float32Array(9), other: new Float32Array(1) }));
    t.regex(error.message, /'x'.*9 elements.*'y' has no memory.*other is not of this graph/);
    kernel.release();
  });

  test('an index out of range fails the run with the node, and the next run works', async (t) => {
    const kernel = engine.compile(gather());
    const [index, y] = [new BigInt64Array(1), new Float32Array(1)];
    const bound = kernel.bind({ x: Float32Array.of(4, 5), index, y });
    index[0] = 2n;
    await t.throwsAsync(bound.run(), { instanceOf: KernelError, message: /the Gather/ });
    index[0] = 1n;
    await bound.run();
    t.deepEqual([...y], [5]);
    kernel.release();
  });

  test('an output of another shape than declared fails the run', async (t) => {
    const kernel = engine.compile({
      ...graph,
      nodes: [node('Neg', ['x'], ['y'])],
      outputs: [{ name: 'y', dtype: 'float32', shape: [3] }],
      initializers: new Map(),
    });
    const bound = kernel.bind({ x: new Float32Array(2), y: new Float32Array(3) });
    await t.throwsAsync(bound.run(), { instanceOf: KernelError });
    kernel.release();
  });
}

function releases(create: () => KernelEngine): void {
  test('what is released refuses to work, and may be released again', async (t) => {
    const engine = create();
    const kernel = engine.compile(scaledSum());
    const bound = kernel.bind({ x: new Float32Array(2), y: new Float32Array(2) });
    bound.release();
    bound.release();
    await t.throwsAsync(bound.run(), { instanceOf: KernelError, message: /released/ });
    const other = kernel.bind({ x: new Float32Array(2), y: new Float32Array(2) });
    kernel.release();
    kernel.release();
    await t.throwsAsync(other.run(), { instanceOf: KernelError, message: /released/ });
    t.throws(() => kernel.bind({ x: new Float32Array(2), y: new Float32Array(2) }), { instanceOf: KernelError });
    engine.close();
    engine.close();
  });

  test('a run in flight ends well though everything is released under it', async (t) => {
    const engine = create();
    const kernel = engine.compile(scaledSum());
    const y = new Float32Array(2);
    const bound = kernel.bind({ x: Float32Array.of(1, 2), y });
    const run = bound.run();
    engine.close();
    await run;
    t.deepEqual([...y], [3, 6]);
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

/** The first element that differs, or undefined. Integers and booleans must be equal. */
export function mismatch(
  expected: readonly Pick<OnnxTensor, 'data'>[],
  actual: readonly TensorMemory[],
  tolerance: number = TOLERANCE,
): string | undefined {
  for (const [output, { data }] of expected.entries()) {
    const got = actual[output]!;
    if (got.length !== data.length) return `output ${output} has ${got.length} elements; expected ${data.length}`;
    const real = data instanceof Float32Array || data instanceof Float64Array;
    const scale = real
      ? Math.max(1e-30, ...Array.from({ length: data.length }, (_, i) => Math.abs(Number(data[i]))))
      : 0;
    for (let i = 0; i < data.length; i += 1) {
      const [want, have] = [Number(data[i]), Number(got[i])];
      // Written so that NaN differs.
      if (!(Math.abs(want - have) <= tolerance * scale)) return `output ${output}[${i}] is ${have}; expected ${want}`;
    }
  }
  return undefined;
}

/** Op types with a case, as `domain:op`. */
export function coveredOps(cases: readonly ContractCase[] = CASES): Set<string> {
  return new Set(cases.map(({ domain = '', op }) => `${domain}:${op}`));
}
