import { createHash } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { createChecker } from '../../soap/schema/check.ts';
import { problemLines } from '../../soap/schema/problems.ts';
import type { Region } from '../../soap/region/region.ts';
import type { RunSettings } from './run-settings.ts';
import { messageOf } from '../../soap/message-of.ts';

/** Name of the index in a checkpoint's folder: that of a sharded model in the libraries that read safetensors. */
export const INDEX_NAME = 'model.safetensors.index.json';

/** Larger files are no index. */
const MAX_INDEX_BYTES = 256 * 1024 * 1024;

/** What a run was, so that another can go on with it. Data order and every random draw follow from it and the step. */
export interface RunIdentity {
  /** Fingerprint of the model's graph, its loss and batch in it. */
  readonly model: string;
  /** The loss as JSON, by which a difference of it is told from one of the model; absent in older files. */
  readonly loss?: string;
  readonly optimizer: string;
  readonly seed: number;
  /** Samples in the data set, and whether each epoch has an order of its own. */
  readonly samples: number;
  readonly shuffle: boolean;
  readonly batchSize: number;
  /** Micro-batches of a step; 1 where absent, as in older files. */
  readonly gradientAccumulationSteps?: number;
  /** Names of the frozen parameters, by which a difference of them is told from one of the model; absent where there are none. */
  readonly frozen?: string;
}

/** A box of a parameter, or of what the optimizer keeps of it, that is one tensor of a file. */
export interface StoredBox {
  readonly file: string;
  /** `weight`, or what the optimizer calls it. */
  readonly kind: string;
  readonly parameter: string;
  /** Of the whole parameter. */
  readonly shape: readonly number[];
  readonly region: Region;
}

/** The content of an index file. */
export interface CheckpointIndex {
  readonly metadata: {
    readonly format: typeof FORMAT;
    /** Steps done. */
    readonly step: number;
    readonly run: RunIdentity;
    /** Absent in older files. */
    readonly settings?: RunSettings;
    /** The job's spec.model. */
    readonly source: unknown;
    /** Bytes of all tensors, as the libraries call it. */
    readonly total_size: number;
    /** Whether the loss of the last of these steps is no number; absent where it is one, and in older files. */
    readonly diverged?: boolean;
  };
  readonly files: Readonly<Record<string, { readonly bytes: number; readonly sha256: string }>>;
  /** The file of each tensor, as the libraries expect it. */
  readonly weight_map: Readonly<Record<string, string>>;
  readonly boxes: Readonly<Record<string, Omit<StoredBox, 'file'>>>;
}

const FORMAT = 'soapstone-checkpoint-1';

const count = { type: 'integer', minimum: 0, maximum: Number.MAX_SAFE_INTEGER };
const object = (properties: Record<string, object>, optional: Record<string, object> = {}): object => {
  return { type: 'object', properties: { ...properties, ...optional }, required: Object.keys(properties) };
};
const checker = createChecker<CheckpointIndex>(
  object({
    metadata: object(
      {
        format: { type: 'string', enum: [FORMAT] },
        step: count,
        run: object(
          {
            model: { type: 'string' },
            optimizer: { type: 'string' },
            seed: count,
            samples: count,
            shuffle: { type: 'boolean' },
            batchSize: count,
          },
          { loss: { type: 'string' }, gradientAccumulationSteps: count, frozen: { type: 'string' } },
        ),
        source: {},
        total_size: count,
      },
      { settings: { type: 'object', additionalProperties: { type: 'string' } }, diverged: { type: 'boolean' } },
    ),
    files: {
      type: 'object',
      // Names of files beside the index: nothing that leads elsewhere.
      propertyNames: { pattern: String.raw`^[\w-]+\.safetensors$` },
      additionalProperties: object({ bytes: count, sha256: { type: 'string' } }),
    },
    weight_map: { type: 'object', additionalProperties: { type: 'string' } },
    boxes: {
      type: 'object',
      additionalProperties: object({
        kind: { type: 'string' },
        parameter: { type: 'string' },
        shape: { type: 'array', items: count, maxItems: 16 },
        region: { type: 'array', items: { type: 'array', items: count, minItems: 2, maxItems: 2 }, maxItems: 16 },
      }),
    },
  }),
);

/** A checkpoint that is not whole: a sentence with what, got and expected. */
export class CheckpointError extends Error {
  override readonly name = 'CheckpointError';
}

/** The index of a step: `metadata` without what it gives by itself. */
export function createIndex(
  metadata: Omit<CheckpointIndex['metadata'], 'format'>,
  rest: Omit<CheckpointIndex, 'metadata'>,
): CheckpointIndex {
  return { metadata: { format: FORMAT, ...metadata }, ...rest };
}

/** The text of an index file, with a checksum of itself. */
export function encodeIndex(index: CheckpointIndex): string {
  return `${JSON.stringify({ ...index, checksum: checksumOf(index) }, null, 1)}\n`;
}

/** Reads the text of an index file. @throws {CheckpointError} */
export function decodeIndex(text: string, source: string): CheckpointIndex {
  const value = parseJson(text, source);
  if (!checker.is(value)) {
    const [problem = 'is no index'] = problemLines(checker.problems(value));
    throw new CheckpointError(`${source} is no index of a checkpoint: ${problem}`);
  }
  const { checksum, ...index }: CheckpointIndex & { checksum?: unknown } = value;
  if (checksum !== checksumOf(index)) {
    throw new CheckpointError(
      `${source} has checksum ${JSON.stringify(checksum)?.slice(0, 80)}; expected ${checksumOf(index)}: it was changed`,
    );
  }
  return index;
}

/**
 * Whether a failure to read says that there is no such file: any other may pass, and what a storage does not give today is not lost.
 * @param error of a file operation, or what has one as its cause
 */
export function isAbsence(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  if ('code' in error) return error.code === 'ENOENT' || error.code === 'ENOTDIR';
  return error.cause === undefined || isAbsence(error.cause);
}

/**
 * Reads the index in a checkpoint's folder.
 * @throws {CheckpointError} where it has none, or a damaged one
 * @throws {Error} a sentence where it cannot be read
 */
export async function readIndex(folder: string): Promise<CheckpointIndex> {
  const path = join(folder, INDEX_NAME);
  const status = await stat(path).catch((error: unknown) => {
    if (isAbsence(error)) return undefined;
    const reason = messageOf(error);
    throw new Error(`cannot read ${path}: ${reason}; see that the volume is mounted and readable`, { cause: error });
  });
  if (status === undefined || !status.isFile() || status.size > MAX_INDEX_BYTES) {
    throw new CheckpointError(
      status === undefined
        ? `${folder} has no ${INDEX_NAME}; expected a checkpoint: it was never finished, or is none`
        : `${path} is no file of at most ${MAX_INDEX_BYTES} bytes; expected the index of a checkpoint`,
    );
  }
  return decodeIndex(await readFile(path, 'utf8'), path);
}

function checksumOf(index: CheckpointIndex): string {
  return createHash('sha256').update(JSON.stringify(index)).digest('hex');
}

function parseJson(text: string, source: string): unknown {
  try {
    const value: unknown = JSON.parse(text);
    return value;
  } catch (error) {
    throw new CheckpointError(`${source} is not JSON (${text.length} characters); it is truncated or damaged`, {
      cause: error,
    });
  }
}
