/** Updates on an engine that does not cut buffers, as those of devices are. */
import test from 'ava';
import type { BoundKernel, KernelEngine } from '../../runtime/kernels/kernels.ts';
import { createOnnxRuntimeEngine } from '../../runtime/kernels/onnxruntime/engine.ts';
import { dataParallel, singleDevice } from '../../soap/baselines/index.ts';
import { devices, goldenCase, trainInMemory } from '../support/train-in-memory.ts';

const STEPS = 3;

/** An engine as one of a device, and how often it has run kernels of that name. */
function uncut(engine: KernelEngine, name: string): { engine: KernelEngine; runs: () => number } {
  let runs = 0;
  const { cut: _cut, ...whole } = engine;
  const counted = (bound: BoundKernel): BoundKernel => ({
    async run() {
      runs++;
      await bound.run();
    },
    release: () => bound.release(),
  });
  const compile: KernelEngine['compile'] = (graph) => {
    const kernel = engine.compile(graph);
    if (graph.name !== name) return kernel;
    return { bind: (buffers) => counted(kernel.bind(buffers)), release: () => kernel.release() };
  };
  return { engine: { ...whole, compile }, runs: () => runs };
}

test('a device updates all weights that it alone holds by one kernel, those of others too as their sums come', async (t) => {
  const golden = await goldenCase('mlp');
  const { graph } = golden.loaded.training;
  const parameters = graph.tensors.filter(({ role }) => role === 'parameter').length;
  const engine = createOnnxRuntimeEngine({ threads: 1 });
  for (const [count, strategyOf, updates] of [
    [1, singleDevice, 1],
    [2, dataParallel, 2 * parameters],
  ] as const) {
    const cluster = devices(count);
    const strategy = strategyOf(graph, cluster);
    const whole = uncut(engine, golden.job.spec.training.optimizer.name);
    const losses = await trainInMemory(golden, cluster, strategy, whole.engine, STEPS);
    t.deepEqual(losses, await trainInMemory(golden, cluster, strategy, engine, STEPS));
    t.is(whole.runs(), STEPS * updates);
  }
  engine.close();
});
