/** Bounds of a cluster, in files of either form. */
export const MAX_DEVICES = 8192;
export const MAX_CONNECTIONS = 65536;

const positive = { type: 'number', exclusiveMinimum: 0 };
const notNegative = { type: 'number', minimum: 0 };
const name = { type: 'string', minLength: 1, maxLength: 253 };

/** JSON schema of a {@link ClusterDescription}: the long form of a cluster file, and the cluster in a plan file. */
export const CLUSTER_SCHEMA: object = {
  type: 'object',
  additionalProperties: false,
  required: ['name', 'devices', 'connections'],
  properties: {
    name,
    sums: {
      type: 'object',
      additionalProperties: false,
      required: ['holdDevices', 'fetchLater'],
      properties: { holdDevices: { type: 'boolean' }, fetchLater: { type: 'boolean' } },
    },
    devices: {
      type: 'array',
      minItems: 1,
      maxItems: MAX_DEVICES,
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
      maxItems: MAX_CONNECTIONS,
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
