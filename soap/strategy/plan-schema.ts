import { CLUSTER_SCHEMA } from '../cluster/cluster-schema.ts';

/** Version of the plan file's form; a reader refuses any other. */
export const PLAN_VERSION = 1;

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
  },
};

const degree = { type: 'integer', minimum: 1, maximum: 65536 };

/** JSON schema of a plan file. */
export const PLAN_SCHEMA: object = {
  type: 'object',
  additionalProperties: false,
  required: ['version', 'model', 'cluster', 'ops', 'prediction', 'baselines', 'origin'],
  properties: {
    version: { const: PLAN_VERSION },
    model: {
      type: 'object',
      additionalProperties: false,
      required: ['name', 'fingerprint', 'batch'],
      properties: {
        name: { type: 'string' },
        fingerprint: { type: 'string', minLength: 16, maxLength: 16 },
        batch: { type: 'integer', minimum: 1 },
      },
    },
    cluster: CLUSTER_SCHEMA,
    ops: {
      type: 'object',
      maxProperties: 32768,
      additionalProperties: {
        type: 'object',
        additionalProperties: false,
        required: ['degrees', 'devices'],
        properties: {
          degrees: { type: 'object', maxProperties: 8, additionalProperties: degree },
          devices: { type: 'array', minItems: 1, maxItems: 65536, items: { type: 'string' } },
        },
      },
    },
    prediction,
    baselines: { type: 'object', additionalProperties: prediction },
    origin: { type: 'string' },
    search: {
      type: 'object',
      additionalProperties: {
        type: ['number', 'string', 'array'],
        items: { type: 'string' },
      },
    },
  },
};
