/**
 * Measures what the planner assumes of one core of this machine (LOCAL_CPU in soap/cluster/device-types.ts): arithmetic,
 * memory traffic, the fixed cost of a task, and messages between two processes, from memory of the one to memory of the other as
 * in training. Prints one JSON object.
 */
import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { OnnxGraph, OnnxNode } from '../soap/onnx/model.ts';
import { createOnnxRuntimeEngine } from '../runtime/kernels/onnxruntime/engine.ts';
import { floats } from '../runtime/program/assembly.ts';
import type { Transport } from '../runtime/transport/transport.ts';
import { connectWebSocketTransport } from '../runtime/transport/websocket.ts';
import { elementCount } from '../soap/onnx/indexing.ts';

const SELF = fileURLToPath(import.meta.url);
const HOST = '127.0.0.1';
const PORTS = [47_301, 47_302];

const engine = createOnnxRuntimeEngine({ threads: 1 });

function oneNode(opType: string, inputs: readonly (readonly number[])[], output: readonly number[]): OnnxGraph {
  const names = inputs.map((_, i) => `x${i}`);
  const node: OnnxNode = { name: opType, opType, domain: '', inputs: names, outputs: ['y'], attributes: {} };
  return {
    name: opType,
    opset: 17,
    inputs: inputs.map((shape, i) => ({ name: `x${i}`, dtype: 'float32', shape })),
    outputs: [{ name: 'y', dtype: 'float32', shape: output }],
    initializers: new Map(),
    nodes: [node],
  };
}

/** Median milliseconds of a run, after runs to warm up. */
async function medianMs(run: () => Promise<void>, repeats: number): Promise<number> {
  for (let i = 0; i < Math.ceil(repeats / 10); i++) await run();
  const times: number[] = [];
  for (let i = 0; i < repeats; i++) {
    const start = performance.now();
    await run();
    times.push(performance.now() - start);
  }
  return times.sort((a, b) => a - b)[Math.floor(repeats / 2)]!;
}

async function kernelMs(graph: OnnxGraph, repeats: number): Promise<number> {
  const memory = [...graph.inputs, ...graph.outputs].map(({ name, shape }) => {
    const tensor = engine.allocate('float32', elementCount(shape.filter((extent) => typeof extent === 'number')));
    // Pages that were never written to are all one page, and read from the cache.
    floats(tensor.host).fill(0.5);
    return [name, tensor] as const;
  });
  const bound = engine.compile(graph).bind(Object.fromEntries(memory));
  return medianMs(() => bound.run(), repeats);
}

const TAG = { step: 0, task: 0, round: 0 };

/** Milliseconds from sending a message to having it back from the other process. */
async function roundTripMs(transport: Transport, bytes: number, repeats: number): Promise<number> {
  const [payload, target] = [new Uint8Array(bytes), new Uint8Array(bytes)];
  let round = 0;
  return medianMs(async () => {
    round += 1;
    await transport.send(1, { ...TAG, step: bytes, round }, payload);
    await transport.fill(1, { ...TAG, step: bytes, round }, target);
  }, repeats);
}

function connect(self: number): Promise<Transport> {
  const peer = 1 - self;
  return connectWebSocketTransport({
    self,
    token: 'bench',
    session: 'bench/1',
    listen: { host: HOST, port: PORTS[self]! },
    peers: new Map([[peer, { host: HOST, port: PORTS[peer]! }]]),
    // As devices of one pod: tensors lie in memory that both map.
    neighbours: new Set([peer]),
    connectTimeoutMs: 10_000,
  });
}

const [SMALL_BYTES, SMALL_REPEATS] = [4, 400];
const [LARGE_BYTES, LARGE_REPEATS] = [8 * 2 ** 20, 20];

/** The other process: sends back what comes, in the order in which {@link measure} sends. */
async function echo(): Promise<void> {
  const transport = await connect(1);
  for (const [bytes, repeats] of [
    [SMALL_BYTES, SMALL_REPEATS],
    [LARGE_BYTES, LARGE_REPEATS],
  ] as const) {
    const target = new Uint8Array(bytes);
    for (let round = 1; round <= repeats + Math.ceil(repeats / 10); round++) {
      await transport.fill(0, { ...TAG, step: bytes, round }, target);
      await transport.send(0, { ...TAG, step: bytes, round }, target);
    }
  }
  await transport.close();
}

async function measure(): Promise<void> {
  const n = 1024;
  const matrix = [n, n];
  const gemmMs = await kernelMs(oneNode('MatMul', [matrix, matrix], matrix), 20);
  const large = [16 * 2 ** 20];
  const reluMs = await kernelMs(oneNode('Relu', [large], large), 20);
  const taskMs = await kernelMs(oneNode('Relu', [[1]], [1]), 2000);
  const child = fork(SELF, ['echo']);
  const transport = await connect(0);
  const smallMs = await roundTripMs(transport, SMALL_BYTES, SMALL_REPEATS);
  const largeMs = await roundTripMs(transport, LARGE_BYTES, LARGE_REPEATS);
  await new Promise((resolve) => child.once('exit', resolve));
  await transport.close();
  const result = {
    matMulGflopsPerSec: (2 * n ** 3) / (gemmMs * 1e6),
    reluGBps: (2 * 4 * large[0]!) / (reluMs * 1e6),
    taskUs: taskMs * 1000,
    messageLatencyUs: (smallMs * 1000) / 2,
    messageGBps: LARGE_BYTES / ((largeMs / 2 - smallMs / 2) * 1e6),
  };
  console.log(
    JSON.stringify(result, (_, value: unknown) => (typeof value === 'number' ? Number(value.toPrecision(3)) : value)),
  );
}

await (process.argv[2] === 'echo' ? echo() : measure());
engine.close();
