/** JSON schema of a {@link ClusterDescription}: the body of a cluster file, and of the cluster in a plan file. */
const positive = { type: 'number', exclusiveMinimum: 0 };
const notNegative = { type: 'number', minimum: 0 };
const name = { type: 'string', minLength: 1, maxLength: 253 };

export const CLUSTER_SCHEMA: object = {
  type: 'object',
  additionalProperties: false,
  required: ['name', 'devices', 'connections'],
  properties: {
    name,
    devices: {
      type: 'array',
      minItems: 1,
      maxItems: 8192,
      items: {
        type: 'object',
        additionalProperties: false,
        required: [
          'name',
          'node',
          'type',
          'flopsPerSec',
          'memoryBandwidthBytesPerSec',
          'memoryBytes',
          'taskOverheadUs',
          'source',
        ],
        properties: {
          name,
          node: name,
          type: name,
          flopsPerSec: positive,
          memoryBandwidthBytesPerSec: positive,
          memoryBytes: positive,
          taskOverheadUs: notNegative,
          source: { type: 'string' },
        },
      },
    },
    connections: {
      type: 'array',
      maxItems: 65536,
      items: {
        type: 'object',
        additionalProperties: false,
        required: ['between', 'bandwidthBytesPerSec', 'latencyUs', 'source'],
        properties: {
          between: { type: 'array', minItems: 2, maxItems: 2, items: name },
          bandwidthBytesPerSec: positive,
          latencyUs: notNegative,
          source: { type: 'string' },
        },
      },
    },
  },
};
