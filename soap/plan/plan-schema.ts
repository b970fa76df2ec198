import { CLUSTER_SCHEMA } from '../cluster/cluster-schema.ts';

/** Version of the plan file's form; older ones are taken up, see `plan-versions.ts`. */
export const PLAN_VERSION = 2;

const prediction = {
  type: 'object',
  additionalProperties: false,
  required: ['iterationMs', 'samplesPerSecond', 'transferredBytes', 'computeMs', 'peakMemoryBytes', 'feasible'],
  properties: {
    iterationMs: { type: 'number', minimum: 0 },
    samplesPerSecond: { type: 'number', minimum: 0 },
    transferredBytes: { type: 'number', minimum: 0 },
    computeMs: { type: 'number', minimum: 0 },
    peakMemoryBytes: { type: 'number', minimum: 0 },
    feasible: { type: 'boolean' },
    missingMemoryBytes: { type: 'number', minimum: 0 },
    oversizedMessageBytes: { type: 'number', minimum: 0 },
  },
};

const text = { type: 'string', maxLength: 1024 };
const count = { type: 'integer', minimum: 0 };
const amount = { type: 'number', minimum: 0 };

/** A built-in model with its parameters, or an ONNX file at a path or a URL. */
const modelSource = {
  type: 'object',
  additionalProperties: false,
  oneOf: [{ required: ['builtin'] }, { required: ['onnx'] }, { required: ['url', 'sha256'] }],
  properties: {
    builtin: {
      type: 'object',
      required: ['name'],
      maxProperties: 64,
      properties: { name: text },
      additionalProperties: { type: ['number', 'boolean', 'string'] },
    },
    onnx: text,
    url: { type: 'string', maxLength: 2048 },
    unrollSteps: { type: 'integer', minimum: 1 },
    sha256: { type: 'string', pattern: '^[0-9a-f]{64}$' },
  },
};

const training = {
  type: 'object',
  additionalProperties: false,
  required: ['loss', 'optimizer'],
  properties: {
    loss: {
      type: 'object',
      additionalProperties: false,
      required: ['name'],
      properties: {
        name: { enum: ['crossEntropy', 'meanSquaredError', 'binaryCrossEntropy'] },
        ignoreIndex: { type: 'integer' },
        labelSmoothing: amount,
        classAxis: { type: 'integer', minimum: 1 },
      },
    },
    optimizer: { enum: ['sgd', 'adam', 'adamw'] },
    collectives: { type: 'array', minItems: 1, items: { enum: ['ring', 'exchange', 'hierarchical', 'owner'] } },
    wire: { enum: ['float32', 'bfloat16'] },
    clipsGradients: { type: 'boolean' },
    gradientAccumulationSteps: { type: 'integer', minimum: 1, maximum: 65536 },
    frozen: { type: 'array', minItems: 1, maxItems: 65536, items: { type: 'string' } },
  },
};

const search = {
  type: 'object',
  additionalProperties: false,
  required: ['seed', 'seconds', 'beta', 'chains', 'start', 'proposals', 'accepted', 'stoppedBy'],
  properties: {
    seed: count,
    seconds: amount,
    proposalLimit: count,
    beta: amount,
    chains: count,
    start: { type: 'array', items: text },
    proposals: count,
    accepted: count,
    stoppedBy: { enum: ['budget', 'proposals', 'noImprovement', 'interrupted'] },
    curve: {
      type: 'array',
      maxItems: 4096,
      items: {
        type: 'object',
        additionalProperties: false,
        required: ['seconds', 'proposals', 'iterationMs'],
        properties: { seconds: amount, proposals: count, iterationMs: amount },
      },
    },
  },
};

const degree = { type: 'integer', minimum: 1, maximum: 65536 };

/** JSON schema of a plan file. */
export const PLAN_SCHEMA: object = {
  type: 'object',
  additionalProperties: false,
  required: ['version', 'soapstone', 'model', 'cluster', 'ops', 'prediction', 'baselines', 'origin'],
  properties: {
    version: { const: PLAN_VERSION },
    soapstone: text,
    model: {
      type: 'object',
      additionalProperties: false,
      required: ['name', 'fingerprint', 'batch'],
      properties: {
        name: { type: 'string' },
        fingerprint: { type: 'string', minLength: 16, maxLength: 16 },
        batch: { type: 'integer', minimum: 1 },
        source: modelSource,
      },
    },
    training,
    cluster: CLUSTER_SCHEMA,
    ops: {
      type: 'object',
      maxProperties: 32768,
      additionalProperties: {
        type: 'object',
        additionalProperties: false,
        required: ['degrees', 'devices'],
        properties: {
          kind: { type: 'string' },
          shape: { type: 'array', maxItems: 16, items: { type: 'integer', minimum: 0 } },
          degrees: { type: 'object', maxProperties: 8, additionalProperties: degree },
          devices: { type: 'array', minItems: 1, maxItems: 65536, items: { type: 'string' } },
          computeMs: amount,
        },
      },
    },
    prediction,
    baselines: { type: 'object', additionalProperties: prediction },
    origin: { type: 'string' },
    costs: {
      type: 'object',
      additionalProperties: false,
      required: ['measured', 'interpolated', 'roofline'],
      properties: { measured: amount, interpolated: amount, roofline: amount },
    },
    search,
  },
};
