import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import test from 'ava';
import { addByValue } from '../../runtime/kernels/addition.ts';
import { createOnnxRuntimeEngine } from '../../runtime/kernels/onnxruntime/engine.ts';
import { bufferOf, filled, nodeGraph } from '../support/kernel-graphs.ts';
import { kernelContract } from './contract.ts';
import { elementCount } from '../../soap/onnx/indexing.ts';

kernelContract(() => createOnnxRuntimeEngine({ threads: 1 }));

test('the event loop turns while a kernel runs', async (t) => {
  const engine = createOnnxRuntimeEngine({ threads: 1 });
  const shape = [700, 700];
  const inputs = [filled(shape, 1), filled(shape, 2)];
  const kernel = engine.compile(nodeGraph({ op: 'MatMul', inputs }, [{ dtype: 'float32', shape }]));
  const [x0, x1] = [
    await bufferOf(engine, 'float32', inputs[0]!.data),
    await bufferOf(engine, 'float32', inputs[1]!.data),
  ];
  const y0 = engine.allocate('float32', elementCount(shape));
  const bound = kernel.bind({ x0, x1, y0 });
  let settled = false;
  const run = bound.run().then(() => (settled = true));
  await t.throwsAsync(bound.run(), { message: /one.*at a time|once at a time/ });
  await new Promise((resolve) => setImmediate(resolve));
  t.false(settled);
  await run;
  engine.close();
});

test("additions of any length, wherever they lie in memory, have the bits of JavaScript's", (t) => {
  const engine = createOnnxRuntimeEngine({ threads: 2 });
  for (const [length, at] of [1, 8191, 8192, 8193, 300_001].flatMap((n) => [0, 1, 3].map((start) => [n, start]))) {
    const memory = new Float32Array(new SharedArrayBuffer(4 * (length! + at! + 1)));
    memory.forEach((_, i) => (memory[i] = Math.sin(i) * 2 ** (i % 40)));
    const source = Float32Array.from({ length: length! }, (_, i) => (i % 1000 === 999 ? Infinity : Math.cos(i)));
    const expected = memory.slice();
    addByValue(expected.subarray(at, at! + length!), source);
    engine.add!(memory.subarray(at, at! + length!), source);
    t.deepEqual(memory, expected);
  }
  engine.close();
});

test('a process that leaves its kernels open, or closes the engine, ends with code 0', async (t) => {
  const url = new URL('../../runtime/kernels/onnxruntime/engine.ts', import.meta.url);
  const graph = nodeGraph({ op: 'Neg', inputs: [filled([2])] }, [{ dtype: 'float32', shape: [2] }]);
  const plain = JSON.stringify({ ...graph, initializers: undefined });
  for (const end of ['', 'engine.close();']) {
    const script = `
      import { createOnnxRuntimeEngine } from '${url.href}';
      const engine = createOnnxRuntimeEngine({ threads: 2 });
      const kernel = engine.compile({ ...${plain}, initializers: new Map() });
      const [x0, y0] = [engine.allocate('float32', 2), engine.allocate('float32', 2)];
      x0.host.set([1, 2]);
      await kernel.bind({ x0, y0 }).run();
      console.log(y0.host.join());
      ${end}`;
    const { stdout, stderr } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script]);
    t.is(stdout, '-1,-2\n');
    t.is(stderr, '');
  }
});
