import test from 'ava';
import { floats } from '../../runtime/program/assembly.ts';
import type { KernelEngine, TensorBuffer } from '../../runtime/kernels/kernels.ts';
import { createDeviceEngine } from '../../runtime/kernels/device/engine.ts';
import { HAS_SOFTWARE_GPU } from '../support/software-gpu.ts';
import { createOnnxRuntimeEngine } from '../../runtime/kernels/onnxruntime/engine.ts';
import { createReferenceEngine } from '../../runtime/kernels/reference/engine.ts';
import { createOptimizer } from '../../runtime/optimizers/optimizer.ts';
import { updateNames } from '../../runtime/optimizers/update-rule.ts';
import { OPTIMIZER_STATES } from '../../soap/job/optimizer-states.ts';
import type { AdamSettings, OptimizerSettings, SgdSettings } from '../../soap/job/training-job.ts';

const [ELEMENTS, STEPS, LEARNING_RATE] = [7, 6, 0.05];
const constant = { name: 'constant', warmupSteps: 0 } as const;
const sgd = {
  name: 'sgd',
  learningRate: LEARNING_RATE,
  momentum: 0,
  nesterov: false,
  weightDecay: 0,
  schedule: constant,
} as const;
const adam = {
  name: 'adam',
  learningRate: LEARNING_RATE,
  betas: [0.9, 0.99],
  epsilon: 1e-3,
  weightDecay: 0,
  schedule: constant,
} as const;

/** A made-up gradient of each element and step, as a function of the weight, so that mistakes add up. */
const gradientOf = (weight: number, element: number, step: number): number =>
  0.3 * weight + Math.sin(3 * element + 5 * step);

/** torch.optim.SGD as its documentation writes it. */
function sgdTrajectory({ momentum, nesterov, weightDecay }: SgdSettings, start: number, element: number): number {
  let [weight, buffer] = [start, 0];
  for (let step = 0; step < STEPS; step++) {
    let g = gradientOf(weight, element, step) + weightDecay * weight;
    if (momentum !== 0) {
      buffer = step === 0 ? g : momentum * buffer + g;
      g = nesterov ? g + momentum * buffer : buffer;
    }
    weight -= LEARNING_RATE * g;
  }
  return weight;
}

/** torch.optim.Adam and AdamW as their documentation writes them. */
function adamTrajectory(settings: AdamSettings, start: number, element: number): number {
  const { name, betas, epsilon, weightDecay } = settings;
  let [weight, m, v] = [start, 0, 0];
  for (let t = 1; t <= STEPS; t++) {
    let g = gradientOf(weight, element, t - 1);
    if (name === 'adamw') weight -= LEARNING_RATE * weightDecay * weight;
    else g += weightDecay * weight;
    m = betas[0] * m + (1 - betas[0]) * g;
    v = betas[1] * v + (1 - betas[1]) * g * g;
    const [mHat, vHat] = [m / (1 - betas[0] ** t), v / (1 - betas[1] ** t)];
    weight -= (LEARNING_RATE * mHat) / (Math.sqrt(vHat) + epsilon);
  }
  return weight;
}

/** The same by kernels; gradients are given ten times too large where they are scaled. */
async function trained(engine: KernelEngine, settings: OptimizerSettings, scales: boolean): Promise<Float32Array> {
  const optimizer = createOptimizer(settings, scales);
  const graph = optimizer.kernel([ELEMENTS]);
  const kernel = engine.compile(graph);
  const allocate = (elements: number): TensorBuffer => engine.allocate('float32', elements);
  const [weight, gradient] = [allocate(ELEMENTS), allocate(ELEMENTS)];
  for (let i = 0; i < ELEMENTS; i++) weight.host[i] = Math.cos(i);
  const memory: Record<string, TensorBuffer> = { weight, gradient, output0: weight };
  OPTIMIZER_STATES[settings.name].forEach((_, index) => {
    memory[`state${index}`] = memory[`output${index + 1}`] = allocate(ELEMENTS);
  });
  const rates = optimizer.rates(0, LEARNING_RATE, 1).map(() => allocate(1));
  rates.forEach((rate, index) => (memory[`rate${index}`] = rate));
  const names = [...graph.inputs, ...graph.outputs].map(({ name }) => name);
  const bound = kernel.bind(Object.fromEntries(names.map((name) => [name, memory[name]!])));
  for (let step = 0; step < STEPS; step++) {
    for (let i = 0; i < ELEMENTS; i++)
      gradient.host[i] = (scales ? 10 : 1) * gradientOf(Number(weight.host[i]), i, step);
    optimizer.rates(step, LEARNING_RATE, 0.1).forEach((value, index) => (rates[index]!.host[0] = value));
    await engine.upload([weight, gradient, ...rates]);
    await bound.run();
    await engine.download([weight]);
  }
  bound.release();
  kernel.release();
  return floats(weight.host);
}

const CASES: [string, OptimizerSettings][] = [
  ['sgd', sgd],
  ['sgd with weight decay', { ...sgd, weightDecay: 0.1 }],
  ['sgd with momentum', { ...sgd, momentum: 0.9, weightDecay: 0.01 }],
  ['sgd with Nesterov momentum', { ...sgd, momentum: 0.9, nesterov: true, weightDecay: 0.01 }],
  ['adam', adam],
  ['adam with weight decay', { ...adam, weightDecay: 0.1 }],
  ['adamw', { ...adam, name: 'adamw', weightDecay: 0.1 }],
  ['adamw without weight decay', { ...adam, name: 'adamw' }],
];
const onDevice = HAS_SOFTWARE_GPU ? [createDeviceEngine('webgpu', { gpu: 0 })] : [];
const engines = [createReferenceEngine(), createOnnxRuntimeEngine({ threads: 1 }), ...onDevice];
test.after.always(() => engines.forEach((engine) => engine.close()));

for (const [title, settings] of CASES) {
  test(`${title} updates as its formulas say, in place, on every engine`, async (t) => {
    for (const engine of engines) {
      for (const scales of [false, true]) {
        const weights = await trained(engine, settings, scales);
        weights.forEach((weight, i) => {
          const expected =
            settings.name === 'sgd'
              ? sgdTrajectory(settings, Math.cos(i), i)
              : adamTrajectory(settings, Math.cos(i), i);
          t.true(Math.abs(weight - expected) < 1e-5, `${engine.name}: element ${i} is ${weight}, expected ${expected}`);
        });
      }
    }
  });
}

for (const settings of [sgd, adam]) {
  test(`${settings.name} in pieces, with gradients in two terms, has the bits of the whole`, async (t) => {
    const [lengths, all] = [[5, 3, 4], 12];
    for (const engine of engines.filter(({ cut }) => cut !== undefined)) {
      const filled = (elements: number, value: (i: number) => number): TensorBuffer => {
        const buffer = engine.allocate('float32', elements);
        for (let i = 0; i < elements; i++) buffer.host[i] = value(i);
        return buffer;
      };
      const optimizer = createOptimizer(settings, false);
      const rates = optimizer.rates(3, LEARNING_RATE, 1).map((rate) => filled(1, () => rate));
      const updated = async (parts: readonly number[], terms: readonly TensorBuffer[]): Promise<TensorBuffer[]> => {
        const kept = ['weight', ...OPTIMIZER_STATES[settings.name]].map((_, k) =>
          filled(all, (i) => 1 + ((i * k) % 5)),
        );
        const graph = optimizer.kernel(parts, terms.length);
        const memory: Record<string, TensorBuffer> = Object.fromEntries(rates.map((rate, i) => [`rate${i}`, rate]));
        let start = 0;
        for (const [piece, length] of parts.entries()) {
          const cut = (buffer: TensorBuffer): TensorBuffer => engine.cut!(buffer, start, start + length);
          const names = updateNames(piece, terms.length, kept.length - 1);
          const own = kept.map(cut);
          [names.weight, ...names.states].forEach((name, i) => (memory[name] = own[i]!));
          names.outputs.forEach((name, i) => (memory[name] = own[i]!));
          names.gradients.forEach((name, i) => (memory[name] = cut(terms[i]!)));
          start += length;
        }
        const names = [...graph.inputs, ...graph.outputs].map(({ name }) => name);
        const kernel = engine.compile(graph);
        await kernel.bind(Object.fromEntries(names.map((name) => [name, memory[name]!]))).run();
        kernel.release();
        return kept;
      };
      const [a, b] = [filled(all, Math.sin), filled(all, Math.cos)];
      const sum = filled(all, (i) => Number(a.host[i]) + Number(b.host[i]));
      const [pieces, whole] = [await updated(lengths, [a, b]), await updated([all], [sum])];
      t.deepEqual(
        pieces.map(({ host }) => host),
        whole.map(({ host }) => host),
        engine.name,
      );
    }
  });
}
