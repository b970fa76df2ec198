import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import test from 'ava';
import { anything, assert, jsonValue, property } from 'fast-check';
import { parse } from 'yaml';
import { nearest } from '../../soap/schema/nearest.ts';
import { parseTrainingJob } from '../../soap/job/parse.ts';
import { problemLines } from '../../soap/schema/problems.ts';
import type { FieldSchema } from '../../soap/job/schema.ts';
import { trainingJobSpecSchema } from '../../soap/job/schema.ts';
import type { OptimizerSettings, TrainingJob } from '../../soap/job/training-job.ts';

const good = `
apiVersion: soapstone.dev/v1alpha1
kind: TrainingJob
metadata: { name: mnist }
spec:
  model: { onnx: model.onnx }
  dataset: { safetensors: data.safetensors }
  training:
    batchSize: 64
    steps: 10
    loss: { name: crossEntropy }
    optimizer: { name: sgd, learningRate: 0.1 }
`;

const EMPTY_SHA256 = createHash('sha256').digest('hex');

/** Every example of a schema, with where it is. */
function examplesIn(schema: FieldSchema, path: string): [path: string, schema: FieldSchema, example: string][] {
  const own = schema.example === undefined ? [] : [[path, schema, schema.example] as [string, FieldSchema, string]];
  return [
    ...own,
    ...Object.entries(schema.properties ?? {}).flatMap(([name, field]) => examplesIn(field, `${path}.${name}`)),
  ];
}

test('every example of the schema is a value of its field', (t) => {
  const examples = examplesIn(trainingJobSpecSchema, 'spec');
  t.true(examples.length > 10);
  for (const [path, schema, example] of examples) {
    const value: unknown = parse(example);
    t.is(Array.isArray(value) ? 'array' : typeof value, schema.type, path);
    if (schema.pattern !== undefined) t.regex(example, new RegExp(schema.pattern), path);
    const fields = Object.keys(Object(schema.type === 'object' ? value : {}));
    if (schema.open !== true)
      for (const field of fields) t.true(field in Object(schema.properties), `${path}.${field}`);
    for (const field of schema.required ?? []) t.true(fields.includes(field), `${path}.${field}`);
  }
});

function job(text: string): TrainingJob {
  const parsed = parseTrainingJob(parse(text));
  if ('problems' in parsed) throw new Error(problemLines(parsed.problems).join('\n'));
  return parsed.job;
}

test('frozen parameters are a list, empty where it is left out', (t) => {
  const withFrozen = (value: string): string => good.replace('  training:\n', `  training:\n    frozen: ${value}\n`);
  t.deepEqual(job(good).spec.training.frozen, []);
  t.deepEqual(job(withFrozen("['encoder.*', head.bias]")).spec.training.frozen, ['encoder.*', 'head.bias']);
  t.deepEqual(problems(withFrozen('encoder')), [
    `spec.training.frozen: got "encoder", expected a list: write it as in 'frozen: ["encoder.*"]'`,
  ]);
  t.is(problems(withFrozen("['', 3]")).length, 2);
});

function problems(text: string): string[] {
  const parsed = parseTrainingJob(parse(text));
  return 'problems' in parsed ? problemLines(parsed.problems) : [];
}

test('a short job gets every default', (t) => {
  const { spec } = job(good);
  t.deepEqual(spec.devices, { resource: 'nvidia.com/gpu', min: 1, max: 8, nodeSelector: {}, tolerations: [] });
  t.deepEqual(spec.search, { seconds: 10, seed: 1, beta: 2000, chains: 2, start: ['data', 'expert', 'random'] });
  t.true(spec.dataset.shuffle);
  t.is(spec.training.seed, 1);
  t.like(spec.training.optimizer, { momentum: 0, nesterov: false, weightDecay: 0 });
  t.like(spec, { suspend: false, backoffLimit: 3 });
  t.is(spec.checkpoint, undefined);
});

for (const name of ['mlp', 'cnn', 'resnet', 'lstm', 'dlrm', 'gpt']) {
  test(`the golden job ${name} is read`, (t) => {
    t.deepEqual(problems(readFileSync(new URL(`../golden/${name}/job.yaml`, import.meta.url), 'utf8')), []);
  });
}

const optimizers: readonly [string, string, Partial<OptimizerSettings>][] = [
  ['sgd', '{ name: sgd, learningRate: 1 }', { momentum: 0, nesterov: false, weightDecay: 0 }],
  ['adam', '{ name: adam, learningRate: 1 }', { betas: [0.9, 0.999], epsilon: 1e-8, weightDecay: 0 }],
  ['adamw', '{ name: adamw, learningRate: 1 }', { betas: [0.9, 0.999], epsilon: 1e-8, weightDecay: 0.01 }],
  ['a schedule', '{ name: sgd, learningRate: 1 }', { schedule: { name: 'constant', warmupSteps: 0 } }],
  [
    'a step schedule',
    '{ name: sgd, learningRate: 1, schedule: { name: step, everySteps: 5 } }',
    { schedule: { name: 'step', warmupSteps: 0, everySteps: 5, factor: 0.1 } },
  ],
  [
    'a cosine schedule',
    '{ name: sgd, learningRate: 1, schedule: { name: cosine, warmupSteps: 3 } }',
    { schedule: { name: 'cosine', warmupSteps: 3, minimum: 0 } },
  ],
];
for (const [name, written, expected] of optimizers) {
  test(`${name} has PyTorch's defaults, also when it is read again`, (t) => {
    const first = job(good.replace('{ name: sgd, learningRate: 0.1 }', written));
    t.like(first.spec.training.optimizer, expected);
    t.deepEqual(parseTrainingJob(first), { job: first });
  });
}

const cases: readonly { name: string; replace: [string, string]; expected: string[] }[] = [
  {
    name: 'an unknown field is named with the nearest known one',
    replace: ['batchSize: 64', 'batchsize: 64'],
    expected: [
      'spec.training.batchSize: is missing, and has no default: add it',
      'spec.training.batchsize: unknown field; spec.training has batchSize, gradientAccumulationSteps, steps, epochs, seed, loss, optimizer, frozen, wire, kernels: did you mean batchSize?',
    ],
  },
  {
    name: 'a wrong type says what it got',
    replace: ['batchSize: 64', 'batchSize: "64"'],
    expected: ['spec.training.batchSize: got "64", expected a whole number: change its value'],
  },
  {
    name: 'a bound is said with its cure',
    replace: ['steps: 10', 'steps: 0'],
    expected: ['spec.training.steps: got 0, expected at least 1: raise it'],
  },
  {
    name: 'two of a one-of are refused',
    replace: ['steps: 10', 'steps: 10, epochs: 2'.replace(', ', '\n    ')],
    expected: [
      'spec.training: got steps and epochs, expected exactly one of steps, epochs: keep one and remove the other',
    ],
  },
  {
    name: 'none of a one-of is refused',
    replace: ['{ onnx: model.onnx }', '{}'],
    expected: ['spec.model: got none of them, expected exactly one of onnx, builtin, url: add one'],
  },
  {
    name: 'parameters of a built-in model are told beside other problems, those of other fields of the model included',
    replace: [
      '{ onnx: model.onnx }',
      '{ builtin: { name: rnntc, hidden: -64, layrs: 2, group: [1] }, unrollStep: 1 }\n  backoffLimit: -1',
    ],
    expected: [
      'spec.backoffLimit: got -1, expected at least 0: raise it',
      'spec.model.builtin.group: got a list of 1, expected a whole number from 1 to 4096 (steps that one op computes; 1 for an op of each step): change its value',
      'spec.model.builtin.hidden: got -64, expected a whole number from 1 to 65536 (width of the LSTM layers): change its value',
      "spec.model.builtin.layrs: unknown parameter; model 'rnntc' takes layers, hidden, embedding, vocabulary, classes, steps, group: did you mean layers?",
      'spec.model.unrollStep: unknown field; spec.model has onnx, url, sha256, unrollSteps, builtin: did you mean unrollSteps?',
    ],
  },
  {
    name: 'parameters that do not fit each other are told, but not where one has a problem of its own',
    replace: ['{ onnx: model.onnx }', '{ builtin: { name: vit, heads: 5, image: 0, patch: 17 } }'],
    expected: [
      'spec.model.builtin.heads: got 5 with a width of 768, expected a divisor of it: use 4, or change width',
      'spec.model.builtin.image: got 0, expected a whole number from 1 to 4096 (height and width of the images, in pixels): change its value',
    ],
  },
  {
    name: 'a misspelt built-in model is corrected',
    replace: ['{ onnx: model.onnx }', '{ builtin: { name: gtp, width: -1 } }'],
    expected: [
      "spec.model.builtin.name: got 'gtp', expected one of alexnet, inceptionv3, resnet101, rnntc, rnnlm, nmt, lenet, resnet50, resnext50, gpt, bert, vit, moe, dlrm: did you mean gpt?",
    ],
  },
  {
    name: 'a model is fetched by its digest only',
    replace: ['onnx: model.onnx', 'url: "https://models.example.com/m.onnx"'],
    expected: [
      'spec.model.sha256: is missing; expected the digest of the file at spec.model.url: see `sha256sum FILE`',
    ],
  },
  {
    name: 'a digest goes with a URL only',
    replace: ['onnx: model.onnx', `onnx: model.onnx, sha256: ${'a'.repeat(64)}`],
    expected: ['spec.model.sha256: is given without spec.model.url, expected it only there: remove it'],
  },
  {
    name: 'a URL is one',
    replace: ['onnx: model.onnx', `url: "https://[", sha256: ${'a'.repeat(64)}`],
    expected: ["spec.model.url: got 'https://[', expected a URL"],
  },
  {
    name: 'micro-batches are equal',
    replace: ['batchSize: 64', 'batchSize: 64\n    gradientAccumulationSteps: 12'],
    expected: [
      'spec.training.gradientAccumulationSteps: got 12 with a batchSize of 64, expected a divisor of it: use 8, or change batchSize',
    ],
  },
  {
    name: 'rules over several fields are checked where these have no problems',
    replace: [
      '{ safetensors: data.safetensors }',
      '{}\n  devices: { min: 4, max: 2 }\n  moves: {}\n  backoffLimit: -1',
    ],
    expected: [
      'spec.backoffLimit: got -1, expected at least 0: raise it',
      'spec.dataset: got none of them, expected exactly one of idx, safetensors, synthetic: add one',
      'spec.devices.min: got 4, expected at most spec.devices.max, which is 2: lower min or raise max',
      'spec.moves: got it without spec.checkpoint, from which a moved job goes on: add checkpoint, or remove moves',
    ],
  },
  {
    name: 'a rule is not checked where one of its fields has a problem',
    replace: ['batchSize: 64', 'batchSize: 0\n    gradientAccumulationSteps: 12'],
    expected: ['spec.training.batchSize: got 0, expected at least 1: raise it'],
  },
  {
    name: 'a misspelt choice is corrected',
    replace: ['crossEntropy', 'crossEntropie'],
    expected: [
      'spec.training.loss.name: got "crossEntropie", expected crossEntropy or meanSquaredError or binaryCrossEntropy: did you mean crossEntropy?',
    ],
  },
  {
    name: 'min above max is refused',
    replace: ['  training:', '  devices: { min: 4, max: 2 }\n  training:'],
    expected: ['spec.devices.min: got 4, expected at most spec.devices.max, which is 2: lower min or raise max'],
  },
  {
    name: 'nesterov needs momentum',
    replace: ['learningRate: 0.1', 'learningRate: 0.1, nesterov: true'],
    expected: [
      'spec.training.optimizer.nesterov: got true with momentum 0, expected momentum above 0: set momentum, or nesterov to false',
    ],
  },
  {
    name: 'options of crossEntropy are refused for another loss',
    replace: [
      '{ name: crossEntropy }',
      '{ name: meanSquaredError, ignoreIndex: 0, labelSmoothing: 0.1, classAxis: 1 }',
    ],
    expected: [
      'spec.training.loss.classAxis: got 1 with the loss meanSquaredError, expected it only with crossEntropy: remove it',
      'spec.training.loss.ignoreIndex: got 0 with the loss meanSquaredError, expected it only with crossEntropy: remove it',
      'spec.training.loss.labelSmoothing: got 0.1 with the loss meanSquaredError, expected it only with crossEntropy: remove it',
    ],
  },
  {
    name: 'what goes with another optimizer is refused',
    replace: ['name: sgd, learningRate: 0.1', 'name: adam, learningRate: 0.1, momentum: 0.9, betas: [0.9, 1]'],
    expected: [
      'spec.training.optimizer.betas[1]: got 1, expected less than 1: lower it',
      'spec.training.optimizer.momentum: got 0.9 with adam, expected it only with sgd: remove it',
    ],
  },
  {
    name: 'epsilon is refused with sgd',
    replace: ['name: sgd', 'name: sgd, epsilon: 0.1'],
    expected: ['spec.training.optimizer.epsilon: got 0.1 with sgd, expected it only with adam or adamw: remove it'],
  },
  {
    name: 'a schedule has its own fields and no others',
    replace: ['name: sgd', 'name: sgd, schedule: { name: step, minimum: 1 }'],
    expected: [
      'spec.training.optimizer.schedule.everySteps: is missing, and has no default with the schedule step: add it',
      'spec.training.optimizer.schedule.minimum: got 1 with the schedule step, expected it only with cosine: remove it',
    ],
  },
  {
    name: 'an optimizer with fields that are wrong by themselves has its other problems told, too',
    replace: [
      'name: sgd, learningRate: 0.1',
      'name: adam, learningRate: -1, momentum: 0.9, schedule: { name: cosine, factor: 2, warmupSteps: -1 }',
    ],
    expected: [
      'spec.training.optimizer.learningRate: got -1, expected at least 0: raise it',
      'spec.training.optimizer.momentum: got 0.9 with adam, expected it only with sgd: remove it',
      'spec.training.optimizer.schedule.factor: got 2 with the schedule cosine, expected it only with step: remove it',
      'spec.training.optimizer.schedule.warmupSteps: got -1, expected at least 0: raise it',
    ],
  },
  {
    name: 'what an unknown name decides about is not judged, what it does not is',
    replace: ['name: sgd', 'name: lion, betas: [0.9, 0.99], momentum: 0.9, schedule: { name: step }'],
    expected: [
      'spec.training.optimizer.name: got "lion", expected sgd or adam or adamw: use one of these',
      'spec.training.optimizer.schedule.everySteps: is missing, and has no default with the schedule step: add it',
    ],
  },
  {
    name: 'what a rule would compare with a wrong value is not judged',
    replace: [
      'name: sgd',
      'name: sgd, momentum: high, nesterov: true, epsilon: 1, schedule: { name: fast, factor: 2 }',
    ],
    expected: [
      'spec.training.optimizer.epsilon: got 1 with sgd, expected it only with adam or adamw: remove it',
      'spec.training.optimizer.momentum: got "high", expected a number: change its value',
      'spec.training.optimizer.schedule.name: got "fast", expected constant or step or cosine: use one of these',
    ],
  },
  {
    name: 'a name that cannot be a host name is refused',
    replace: ['mnist', 'My_Job'],
    expected: [
      `metadata.name: got "My_Job", expected lower-case letters, digits and '-', starting with a letter and ending with a letter or digit: rename it`,
    ],
  },
  {
    name: 'an object in place of a path is answered by an example',
    replace: ['onnx: model.onnx', 'onnx: { path: model.onnx }'],
    expected: ["spec.model.onnx: got an object with path, expected a string: write it as in 'onnx: model.onnx'"],
  },
  {
    name: 'a path in place of an object is answered by an example, once',
    replace: ['{ onnx: model.onnx }', 'model.onnx'],
    expected: [`spec.model: got "model.onnx", expected an object: write it as in 'model: { onnx: model.onnx }'`],
  },
  {
    name: 'a word in place of a loss is answered by an example',
    replace: ['{ name: crossEntropy }', 'crossEntropy'],
    expected: [
      `spec.training.loss: got "crossEntropy", expected an object: write it as in 'loss: { name: crossEntropy }'`,
    ],
  },
  {
    name: 'a word in place of an object that has no example is answered by its fields',
    replace: ['spec:', 'spec:\n  search: long'],
    expected: [
      'spec.search: got "long", expected an object with seconds, proposals, seed, beta, chains, start: change its value',
    ],
  },
  {
    name: 'a digest that is none is answered by one',
    replace: ['onnx: model.onnx', 'url: "https://x.org/m", sha256: abc'],
    expected: [`spec.model.sha256: got "abc", expected a value such as ${EMPTY_SHA256}: correct it`],
  },
  {
    name: 'a number that is not finite is refused',
    replace: ['learningRate: 0.1', 'learningRate: .inf'],
    expected: ['spec.training.optimizer.learningRate: got null, expected a number: change its value'],
  },
];
for (const { name, replace, expected } of cases) {
  test(name, (t) => {
    t.true(good.includes(replace[0]));
    t.deepEqual(problems(good.replace(replace[0], replace[1])).sort(), expected);
  });
}

test('all problems of a file come at once', (t) => {
  const found = problems('apiVersion: v1\nkind: Job\nmetadata: {}\nspec: { model: {}, trainin: {}, dataset: 3 }');
  for (const path of [
    'apiVersion',
    'kind',
    'metadata.name',
    'spec.model',
    'spec.trainin',
    'spec.training',
    'spec.dataset',
  ]) {
    t.true(
      found.some((line) => line.startsWith(`${path}:`)),
      `${path} in ${found.join('\n')}`,
    );
  }
});

test('a value that contains itself is refused', (t) => {
  const loop: Record<string, unknown> = { kind: 'TrainingJob' };
  loop['spec'] = loop;
  const parsed = parseTrainingJob(loop);
  t.true('problems' in parsed);
});

test('the argument is not changed', (t) => {
  const value: unknown = parse(good);
  const before = JSON.stringify(value);
  parseTrainingJob(value);
  t.is(JSON.stringify(value), before);
});

test('any value yields a job or problems, never an exception', (t) => {
  assert(
    property(anything(), jsonValue(), (any, json) => {
      for (const value of [
        any,
        { ...job(good), spec: json },
        { ...job(good), spec: { ...job(good).spec, training: json } },
      ]) {
        const parsed = parseTrainingJob(value);
        if ('problems' in parsed) t.true(parsed.problems.length > 0);
      }
    }),
    { numRuns: 200 },
  );
  t.pass();
});

test('the nearest word is found only when it is near', (t) => {
  t.is(nearest('lerningRate', ['momentum', 'learningRate']), 'learningRate');
  t.is(nearest('colour', ['momentum', 'learningRate']), undefined);
  t.is(nearest('gtp', ['bert', 'gpt']), 'gpt', 'a swap is one mistake');
  t.is(nearest('foo', ['moe', 'gpt']), undefined, 'two of three characters are another word');
});
