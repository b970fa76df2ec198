import { MAX_DEVICES } from './cluster-schema.ts';
import type { WiringKind } from './wiring.ts';
import { WIRING_KINDS } from './wiring.ts';

/**
 * The short form of a cluster file: like nodes in groups, with the units that vendors use. Each rate is for one direction.
 * How to write one: docs/how-to/cluster-files.md.
 */
export interface NodeFile {
  readonly name: string;
  readonly nodes: readonly NodeEntry[];
  /** Switches in two tiers; without it, one switch that never blocks joins all nodes. */
  readonly fabric?: {
    readonly nodesPerLeaf: number;
    readonly rails?: boolean;
    readonly oversubscription?: number;
    readonly latencyUs: number;
  };
}

/** Some nodes that are alike. */
export interface NodeEntry {
  readonly count: number;
  readonly devices: DeviceEntry;
  readonly intraNode: {
    readonly kind: WiringKind;
    /** Of NVLink where the kind has it, else of PCIe. */
    readonly bandwidthGBps?: number;
    readonly latencyUs?: number;
    /** Of PCIe beside NVLink. */
    readonly hostBandwidthGBps?: number;
    readonly nodesPerDomain?: number;
  };
  /** Adapters per node, and what each does. */
  readonly network?: { readonly adapters?: number; readonly bandwidthGbps: number; readonly latencyUs: number };
}

/** A type of the table, or a type of one's own with all numbers; a number beside a type of the table replaces it. */
export interface DeviceEntry {
  readonly count: number;
  readonly type: string;
  readonly teraflops?: number;
  readonly memoryBandwidthGBps?: number;
  readonly memoryGiB?: number;
  readonly taskOverheadUs?: number;
}

const positive = { type: 'number', exclusiveMinimum: 0 };
const notNegative = { type: 'number', minimum: 0 };
const count = { type: 'integer', minimum: 1, maximum: MAX_DEVICES };

const object = (required: readonly string[], properties: object): object => ({
  type: 'object',
  additionalProperties: false,
  required,
  properties,
});

/** JSON schema of a {@link NodeFile}. */
export const NODE_FILE_SCHEMA: object = object(['name', 'nodes'], {
  name: { type: 'string', minLength: 1, maxLength: 253 },
  nodes: {
    type: 'array',
    minItems: 1,
    maxItems: 1024,
    items: object(['count', 'devices', 'intraNode'], {
      count,
      devices: object(['count', 'type'], {
        count,
        type: { type: 'string', minLength: 1, maxLength: 253 },
        teraflops: positive,
        memoryBandwidthGBps: positive,
        memoryGiB: positive,
        taskOverheadUs: notNegative,
      }),
      intraNode: object(['kind'], {
        kind: { type: 'string', enum: WIRING_KINDS },
        bandwidthGBps: positive,
        latencyUs: notNegative,
        hostBandwidthGBps: positive,
        nodesPerDomain: count,
      }),
      network: object(['bandwidthGbps', 'latencyUs'], {
        adapters: count,
        bandwidthGbps: positive,
        latencyUs: notNegative,
      }),
    }),
  },
  fabric: object(['nodesPerLeaf', 'latencyUs'], {
    nodesPerLeaf: count,
    rails: { type: 'boolean' },
    oversubscription: count,
    latencyUs: notNegative,
  }),
});
