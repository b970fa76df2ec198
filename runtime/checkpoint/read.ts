import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { join } from 'node:path';
import type { SafetensorsEntry } from '../../soap/safetensors/safetensors.ts';
import { SafetensorsError } from '../../soap/safetensors/safetensors.ts';
import { intersect, regionShape, regionVolume } from '../../soap/region/region.ts';
import { openFile, readExactly } from '../storage/open-file.ts';
import { readHeader } from '../data/safetensors.ts';
import { checkpointFolders } from './folders.ts';
import type { CheckpointIndex, StoredBox } from './index-file.ts';
import { CheckpointError, isAbsence, readIndex } from './index-file.ts';
import { messageOf } from '../../soap/message-of.ts';
import { elementCount } from '../../soap/onnx/indexing.ts';

/** A checkpoint whose index and headers were read; values are read box by box. */
export interface OpenCheckpoint {
  readonly folder: string;
  readonly index: CheckpointIndex;
  readonly boxes: readonly StoredBox[];
  /** The values of a box, row-major. */
  read(box: StoredBox): Promise<Float32Array>;
  close(): Promise<void>;
}

/** What {@link latestCheckpoint} found. */
export interface LatestCheckpoint {
  readonly folder: string | undefined;
  /** Why newer ones were passed over, a sentence each. */
  readonly passedOver: readonly string[];
}

/**
 * The newest whole checkpoint in a directory; every byte of it is checked.
 * @throws {Error} where it is of another run: of another model, optimizer or data order
 */
export async function latestCheckpoint(directory: string): Promise<LatestCheckpoint> {
  const passedOver: string[] = [];
  for (const folder of await checkpointFolders(directory)) {
    try {
      await verifyCheckpoint(folder);
      return { folder, passedOver };
    } catch (error) {
      if (!isDamage(error)) throw error;
      passedOver.push(error.message);
    }
  }
  return { folder: undefined, passedOver };
}

/** Checks every byte of a checkpoint. @throws {CheckpointError | SafetensorsError} a sentence with the first damage */
export async function verifyCheckpoint(folder: string): Promise<void> {
  const checkpoint = await openCheckpoint(folder);
  await checkpoint.close();
  for (const [name, { sha256 }] of Object.entries(checkpoint.index.files)) {
    const found = await hashFile(join(folder, name));
    if (found !== sha256) {
      throw new CheckpointError(`'${name}' in ${folder} has SHA-256 ${found}; expected ${sha256}: it is damaged`);
    }
  }
}

/** Whether an error says that a checkpoint is not whole. */
function isDamage(error: unknown): error is Error {
  return error instanceof CheckpointError || error instanceof SafetensorsError;
}

/**
 * Opens a checkpoint: its index, and the sizes and headers of its files.
 * @throws {CheckpointError | SafetensorsError} where they do not fit together
 */
export async function openCheckpoint(folder: string): Promise<OpenCheckpoint> {
  const index = await readIndex(folder);
  const boxes = Object.entries(index.boxes).map(([name, box]) => ({
    name,
    file: index.weight_map[name] ?? '',
    ...box,
  }));
  const files = new Map<string, Awaited<ReturnType<typeof openShards>>>();
  const close = async (): Promise<void> => {
    for (const { opened } of files.values()) await opened.file.close();
  };
  try {
    for (const [name, { bytes }] of Object.entries(index.files)) files.set(name, await openShards(folder, name, bytes));
    const entries = new Map<StoredBox, SafetensorsEntry>();
    for (const box of boxes) entries.set(box, entryOf(box, files.get(box.file)?.entries.get(box.name), folder));
    checkCoverage(boxes, folder);
    return {
      folder,
      index,
      boxes,
      async read(box) {
        const { start, end } = entries.get(box)!;
        // Read to the beginning of memory of their own: no copy is needed to look at them as floats.
        const { buffer } = await readExactly(files.get(box.file)!.opened, start, end - start);
        return new Float32Array(buffer);
      },
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Opens one file and reads its header. */
async function openShards(
  folder: string,
  name: string,
  bytes: number,
): Promise<{ opened: Awaited<ReturnType<typeof openFile>>; entries: ReadonlyMap<string, SafetensorsEntry> }> {
  const opened = await openFile(folder, name).catch((error: unknown) => {
    if (!isAbsence(error)) throw error;
    throw new CheckpointError(messageOf(error), { cause: error });
  });
  try {
    if (opened.bytes !== bytes) {
      throw new CheckpointError(`'${name}' in ${folder} has ${opened.bytes} bytes; expected ${bytes}: it is damaged`);
    }
    return { opened, entries: (await readHeader(opened)).tensors };
  } catch (error) {
    await opened.file.close();
    throw error;
  }
}

/** The tensor of a box in its file. */
function entryOf(
  box: StoredBox & { readonly name: string },
  entry: SafetensorsEntry | undefined,
  folder: string,
): SafetensorsEntry {
  const { name, shape, region, file } = box;
  const inside =
    region.length === shape.length && region.every(([start, end], axis) => start < end && end <= shape[axis]!);
  if (inside && entry?.dtype === 'float32' && String(entry.shape) === String(regionShape(region))) return entry;
  throw new CheckpointError(
    `'${file}' in ${folder} has no float32 tensor '${name}' as the index describes it; expected one: they do not belong together`,
  );
}

/** Every element of each tensor is stored once. */
function checkCoverage(boxes: readonly StoredBox[], folder: string): void {
  for (const parts of Map.groupBy(boxes, ({ kind, parameter }) => `${kind}/${parameter}`).values()) {
    const [{ kind, parameter, shape }] = [parts[0]!];
    const stored = parts.reduce((sum, { region }) => sum + regionVolume(region), 0);
    const whole = elementCount(shape);
    const isSame = parts.every((part) => String(part.shape) === String(shape));
    const overlaps = parts.some((a, i) =>
      parts.slice(0, i).some((b) => a.region.length === b.region.length && intersect(a.region, b.region) !== undefined),
    );
    if (stored === whole && isSame && (parts.length === 1 || !overlaps)) continue;
    throw new CheckpointError(
      `${folder} has ${stored} elements of ${kind} '${parameter}'; expected ${whole}, each once: it is not whole`,
    );
  }
}

async function hashFile(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) hash.update(chunk);
  return hash.digest('hex');
}
