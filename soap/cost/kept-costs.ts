import { createChecker, FileError } from '../schema/check.ts';
import { areCurrentKernels } from '../version.ts';
import type { CostEntry, DeviceCosts } from './cost-table.ts';
import { workKey } from './cost-table.ts';
import type { TaskWork } from './task-work.ts';

/**
 * Measured kernels of one type of device in few bytes: as a pod reports them, and as a cluster keeps them for later jobs. Rows are
 * tuples, since the names of fields would be most of it.
 */
export interface KeptCosts {
  readonly version: typeof KEPT_VERSION;
  readonly deviceType: string;
  readonly kernels: string;
  /** Start of a kernel by itself, microseconds. */
  readonly startUs: number;
  /** What was measured together, oldest first. */
  readonly batches: readonly CostBatch[];
  readonly rows: readonly CostRow[];
}

/** A model whose kernels were measured. */
export interface CostBatch {
  /** Digest of what names the model. */
  readonly model: string;
  /** RFC 3339. */
  readonly measured: string;
}

/** A kernel, see {@link CostEntry}; the last is the index of its batch. */
export type CostRow = readonly [
  signature: string,
  direction: TaskWork['direction'],
  flops: number,
  memoryBytes: number,
  us: number,
  spread: number,
  batch: number,
];

const KEPT_VERSION = 1;

/** Most kernels of a table: beyond, a search would spend its time on reading it. */
export const MAX_KEPT_ROWS = 20_000;

/** Models of a table. */
const MAX_BATCHES = 256;

/** Longest signature that is kept; the longest of a built-in model has 214 characters. */
const MAX_SIGNATURE = 1024;

/** An hour: no kernel takes longer, so a row that says so is none. */
const MAX_US = 3.6e9;

const amount = { type: 'number', minimum: 0, maximum: 1e18 };

const checker = createChecker<KeptCosts>({
  type: 'object',
  additionalProperties: false,
  required: ['version', 'deviceType', 'kernels', 'startUs', 'batches', 'rows'],
  properties: {
    version: { const: KEPT_VERSION },
    deviceType: { type: 'string', minLength: 1, maxLength: 256 },
    kernels: { type: 'string', minLength: 1, maxLength: 256 },
    startUs: { type: 'number', minimum: 0, maximum: MAX_US },
    batches: {
      type: 'array',
      minItems: 1,
      maxItems: MAX_BATCHES,
      items: {
        type: 'object',
        additionalProperties: false,
        required: ['model', 'measured'],
        properties: {
          model: { type: 'string', pattern: '^[0-9a-f]{16}$' },
          measured: { type: 'string', pattern: '^[-0-9T:.Z]{20,30}$' },
        },
      },
    },
    rows: {
      type: 'array',
      maxItems: MAX_KEPT_ROWS,
      items: {
        type: 'array',
        minItems: 7,
        maxItems: 7,
        items: [
          { type: 'string', minLength: 1, maxLength: MAX_SIGNATURE },
          { enum: ['forward', 'backward', 'update'] },
          amount,
          amount,
          { type: 'number', minimum: 1e-3, maximum: MAX_US },
          amount,
          { type: 'integer', minimum: 0, maximum: MAX_BATCHES - 1 },
        ],
      },
    },
  },
});

/** What was measured of one model, ready to be kept; kernels beyond {@link MAX_KEPT_ROWS} are left out. */
export function keptCosts(
  about: Pick<KeptCosts, 'deviceType' | 'kernels' | 'startUs'>,
  batch: CostBatch,
  entries: readonly CostEntry[],
): KeptCosts {
  const rows = entries
    .filter(({ signature }) => signature.length <= MAX_SIGNATURE)
    .slice(0, MAX_KEPT_ROWS)
    .map(({ signature, direction, flops, memoryBytes, us, spread }): CostRow => [
      signature,
      direction,
      flops,
      memoryBytes,
      rounded(us),
      rounded(spread),
      0,
    ]);
  return { version: KEPT_VERSION, ...about, startUs: rounded(about.startUs), batches: [batch], rows };
}

/** Four digits: measurements have no more. */
function rounded(value: number): number {
  return Number(value.toPrecision(4));
}

/** Reads what {@link keptCosts} made, as JSON text. The text may be a stranger's. @throws {FileError} where it is none */
export function decodeKeptCosts(text: string, source: string): KeptCosts {
  const fail = (message: string): never => {
    throw new FileError(source, [{ path: '', message }]);
  };
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return fail('is not JSON; expected costs as soapstone measure writes them');
  }
  if (!checker.is(value)) {
    const problems = checker.problems(value);
    throw new FileError(source, problems.slice(0, 5));
  }
  if (!areCurrentKernels(value.kernels)) fail(`is of the kernels '${value.kernels}'; expected those of this version`);
  const { batches, rows } = value;
  if (rows.some((row) => row[6] >= batches.length)) fail('has a row of a batch that it has not');
  return value;
}

/** The table of a type of device, for a cost source. */
export function deviceCostsOf({ deviceType, kernels, startUs, batches, rows }: KeptCosts): DeviceCosts {
  const entries = rows.map(([signature, direction, flops, memoryBytes, us, spread]): CostEntry => ({
    signature,
    direction,
    flops,
    memoryBytes,
    us,
    spread,
  }));
  return { deviceType, kernels, measured: batches.at(-1)!.measured, entries, messages: [], startUs };
}

/** One of two: of what both have, the newer counts; where they are of other kernels, the newer is all. */
export function mergeKeptCosts(older: KeptCosts | undefined, newer: KeptCosts): KeptCosts {
  if (older === undefined || older.kernels !== newer.kernels || older.deviceType !== newer.deviceType) return newer;
  const measuredAnew = new Set(newer.batches.map(({ model }) => model));
  const kept = older.batches.filter(({ model }) => !measuredAnew.has(model)).slice(newer.batches.length - MAX_BATCHES);
  const batches = [...kept, ...newer.batches];
  const indexOf = new Map(batches.map(({ model }, index) => [model, index]));
  const rows = new Map<string, CostRow>();
  for (const { batches: own, rows: from } of [older, newer]) {
    for (const row of from) {
      const [signature, direction, flops, memoryBytes, us, spread, batch] = row;
      const index = indexOf.get(own[batch]!.model);
      if (index === undefined) continue;
      rows.set(workKey({ signature, direction }), [signature, direction, flops, memoryBytes, us, spread, index]);
    }
  }
  return { ...newer, batches, rows: [...rows.values()] };
}

/** A smaller table, and what it lost: a clause. */
export interface Shortened {
  readonly costs: KeptCosts;
  readonly dropped: string;
}

/**
 * A table with less in it: without the model that was measured longest ago; of a single one without the half of its kernels that
 * take least time, which a prediction misses least.
 */
export function shortenKeptCosts(costs: KeptCosts): Shortened {
  const { batches, rows } = costs;
  const [oldest, ...others] = batches;
  if (oldest !== undefined && others.length > 0) {
    const left = rows.flatMap((row): CostRow[] =>
      row[6] === 0 ? [] : [[row[0], row[1], row[2], row[3], row[4], row[5], row[6] - 1]],
    );
    const dropped = `${rows.length - left.length} kernels of the model measured longest ago (${oldest.measured})`;
    return { costs: { ...costs, batches: others, rows: left }, dropped };
  }
  const left = rows.toSorted((a, b) => b[4] - a[4]).slice(0, Math.floor(rows.length / 2));
  return { costs: { ...costs, rows: left }, dropped: `the ${rows.length - left.length} kernels that take least time` };
}
