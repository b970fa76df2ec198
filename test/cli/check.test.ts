import test from 'ava';
import type { CheckResult } from '../../runtime/check/check-strategies.ts';
import { checkStrategies } from '../../runtime/check/check-strategies.ts';
import { largestError } from '../../runtime/check/pass-outcome.ts';
import { openDataset } from '../../runtime/data/open-dataset.ts';
import type { KernelEngine } from '../../runtime/kernels/kernels.ts';
import { createOnnxRuntimeEngine } from '../../runtime/kernels/onnxruntime/engine.ts';
import { createReferenceEngine } from '../../runtime/kernels/reference/engine.ts';
import { GraphBuilder } from '../../soap/training/builder.ts';
import type { Model } from '../../soap/graph/graph.ts';
import { attachLoss } from '../../soap/training/loss.ts';
import { initializeWeights } from '../../soap/models/initialize.ts';
import { createRandom } from '../../soap/random.ts';
import { lastStepModel } from '../support/last-step.ts';
import { devices } from '../support/train-in-memory.ts';
import { soapstone } from '../support/soapstone.ts';

const GOLDEN = new URL('../golden/', import.meta.url).pathname;

/** Two linear layers, the second called as said; each step of a sequence of four is a result of its own. */
function unrolled(): Model {
  const builder = new GraphBuilder();
  const random = createRandom(3);
  const weights = new Map<string, Float32Array>();
  const parameter = (name: string, ...shape: number[]): number => {
    weights.set(
      name,
      Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => random.normal()),
    );
    return builder.parameter(name, shape);
  };
  const hidden = builder.op('tanh', 'tanh', [
    builder.op('linear', 'first', [builder.input('x', [8, 4, 6]), parameter('w1', 12, 6)], { transposed: true }),
  ]);
  const shared = [parameter('w2', 10, 12), parameter('b2', 10)];
  const results = [0, 2].map((start) => {
    const attributes = { starts: [start], ends: [start + 2], axes: [1], steps: [1] };
    const piece = builder.op('slice', 'piece', [hidden], attributes);
    return builder.op('linear', 'second', [piece, ...shared], { transposed: true });
  });
  return { graph: builder.build('unrolled', results), weights };
}

async function checked(engine: KernelEngine, strategies: number = 20): Promise<CheckResult> {
  const { graph, weights } = unrolled();
  const training = attachLoss(graph, 'crossEntropy', { ignoreIndex: 3, labelSmoothing: 0.1 });
  const dataset = await openDataset({ synthetic: { samples: 8 }, shuffle: false }, '.', training.graph);
  return checkStrategies({ training, weights, dataset, engine, cluster: devices(4), batch: 8, strategies, seed: 1 });
}

test('gradients that are all 0 are not off', (t) => {
  const zeros = new Map([['w', new Float32Array(3)]]);
  t.deepEqual(largestError(zeros, zeros)[1], 0);
  t.true(largestError(new Map([['w', Float32Array.of(0, 1, 0)]]), zeros)[1] > 1);
});

/** Kernels that are wrong where a stage writes something whose last axis is split to memory that others read. */
function wrongWhenSplit(stage: string, output: string, extent: number, wrong: number): KernelEngine {
  const right = createReferenceEngine();
  return {
    ...right,
    compile(graph) {
      const kernel = right.compile(graph);
      // A segment has the names of its stages; what each writes is numbered by it.
      const at = graph.name.split(' ').indexOf(stage);
      const written = graph.outputs.find(({ name }) => name === `s${at}_${output}`);
      if (written === undefined || written.shape.at(-1) === extent) return kernel;
      return {
        ...kernel,
        bind(tensors) {
          const bound = kernel.bind(tensors);
          const run = async (): Promise<void> => {
            await bound.run();
            tensors[written.name]!.host[0] = wrong;
          };
          return { run, release: () => bound.release() };
        },
        release: () => kernel.release(),
      };
    },
  };
}

test('strategies of results in pieces, with labels that do not count, agree with one device', async (t) => {
  const { strategies, failures, maxForwardError, maxGradientError } = await checked(createReferenceEngine());
  t.is(strategies, 20);
  t.deepEqual(failures, []);
  t.true(maxForwardError < 1e-6 && maxGradientError < 1e-5, `${maxForwardError} ${maxGradientError}`);
  t.true(maxGradientError > 0);
});

test('parts whose results nothing reads are not computed', async (t) => {
  const training = lastStepModel(8);
  const dataset = await openDataset({ synthetic: { samples: 8 }, shuffle: false }, '.', training.graph);
  const weights = initializeWeights(training.graph, 1);
  const engine = createOnnxRuntimeEngine({ threads: 1 });
  const subject = { training, weights, dataset, engine, cluster: devices(4), batch: 8 };
  t.deepEqual((await checkStrategies({ ...subject, strategies: 20, seed: 1 })).failures, []);
  engine.close();
});

const WRONG: [string, KernelEngine, RegExp][] = [
  ['a wrong forward pass', wrongWhenSplit('second.forward', 'output0', 10, 100), /^the loss is .*; expected/],
  ['a wrong gradient', wrongWhenSplit('first.backward', 'gradInput1', 6, 100), /^the gradient of 'w1' is off by/],
  ['no number', wrongWhenSplit('second.forward', 'output0', 10, Number.NaN), /^the loss is NaN; expected/],
];
for (const [title, engine, message] of WRONG) {
  test(`${title} of a split op is a failure`, async (t) => {
    const { failures } = await checked(engine, 8);
    t.true(failures.length > 0 && failures.length < 8, `${failures.length}`);
    for (const failure of failures) t.regex(failure.message, message);
  });
}

test('the command checks built-in models, files and jobs, and prints one object', async (t) => {
  const lstm = [`${GOLDEN}lstm/model.onnx`, '--unroll-steps', '10'];
  for (const model of [['lenet'], [`${GOLDEN}dlrm/model.onnx`], lstm, [`${GOLDEN}mlp/job.yaml`]]) {
    const { code, stdout, stderr } = await soapstone('check', ...model, '--strategies', '1', '--output', 'json');
    t.is(code, 0, stderr);
    const result: CheckResult = JSON.parse(stdout);
    t.like(result, { strategies: 1, failures: [] });
    t.true(result.maxForwardError < 1e-5 && result.maxGradientError < 1e-4, stdout);
  }
});

test('what cannot be checked is a sentence and exit code 2', async (t) => {
  const cases: [string[], RegExp][] = [
    [[], /check expects one of a job file, a built-in model and an ONNX file/],
    [['nonesuch'], /nonesuch/],
    [['none.onnx'], /cannot read model none\.onnx/],
    [['lenet', '--devices', '0'], /--devices is '0'/],
    [[`${GOLDEN}mlp/job.yaml`, '--batch', '4096'], /the data set has 256 samples; expected a batch of 4096/],
    [['lenet', '--unroll-steps', '2'], /--unroll-steps is for recurrent layers of ONNX files/],
    [['none.onnx', '--set', 'a=1'], /--set gives parameters to a built-in model/],
  ];
  for (const [args, message] of cases) {
    const { code, stderr } = await soapstone('check', ...args);
    t.is(code, 2, stderr);
    t.regex(stderr, message);
  }
});
