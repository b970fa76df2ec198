import type { FileHandle } from 'node:fs/promises';
import { mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { OnnxTensor } from '../../soap/onnx/model.ts';
import { decodeSafetensors, encodeSafetensors, SafetensorsError } from '../../soap/safetensors/safetensors.ts';

/** The state of a training run after some steps. */
export interface Checkpoint {
  /** Steps done. */
  readonly step: number;
  /** Fingerprint of the model's graph. */
  readonly model: string;
  /** Whole tensors by parameter name. */
  readonly weights: ReadonlyMap<string, OnnxTensor>;
  /** What the optimizer keeps, by its name, then by parameter name. */
  readonly optimizer: ReadonlyMap<string, ReadonlyMap<string, OnnxTensor>>;
}

const NAME = /^step-(\d{8,})\.safetensors$/;

/** Tensors are called after what they are, and the parameter: `weight/fc.bias`, `momentum/fc.bias`. */
const WEIGHT = 'weight';
const SEPARATOR = '/';

/**
 * Writes a checkpoint as a whole or not at all, and removes all but the newest `keep`.
 * @returns the file's path
 */
export async function writeCheckpoint(directory: string, checkpoint: Checkpoint, keep: number): Promise<string> {
  const { step, model, weights, optimizer } = checkpoint;
  const path = join(directory, `step-${String(step).padStart(8, '0')}.safetensors`);
  const tensors = new Map<string, OnnxTensor>();
  for (const [kind, values] of [[WEIGHT, weights] as const, ...optimizer]) {
    for (const [name, tensor] of values) tensors.set(kind + SEPARATOR + name, tensor);
  }
  await writeWhole(path, encodeSafetensors(tensors, { step: String(step), model }));
  // The one just written stays: files of later steps can only be damaged, or the run would have resumed from them.
  const others = (await checkpointNames(directory)).filter((name) => name !== basename(path));
  await Promise.all(others.slice(keep - 1).map((name) => rm(join(directory, name), { force: true })));
  return path;
}

/**
 * The newest whole checkpoint in a directory, or undefined where there is none.
 * @throws {Error} where it is of another model
 */
export async function latestCheckpoint(directory: string, model: string): Promise<Checkpoint | undefined> {
  for (const name of await checkpointNames(directory)) {
    const checkpoint = await readCheckpoint(join(directory, name));
    if (checkpoint === undefined) continue;
    if (checkpoint.model === model) return checkpoint;
    throw new Error(
      `checkpoint '${name}' in ${directory} is of model ${checkpoint.model}; expected ${model}: ` +
        'choose another checkpoint.directory, or remove the old checkpoints',
    );
  }
  return undefined;
}

/**
 * Moves the checkpoints of an earlier run out of the way, into the folder `previous`, so that a run from the start neither
 * loses them nor takes them for its own.
 */
export async function archiveCheckpoints(directory: string): Promise<void> {
  const names = await checkpointNames(directory);
  if (names.length === 0) return;
  const archive = join(directory, 'previous');
  await rm(archive, { recursive: true, force: true });
  await mkdir(archive);
  for (const name of names) await rename(join(directory, name), join(archive, name));
}

/** Writes bytes under a name that never shows part of them: to a neighbour first, which is renamed once it is on disk. */
export async function writeWhole(path: string, parts: readonly Uint8Array[]): Promise<void> {
  const directory = dirname(path);
  const partial = join(directory, `.${basename(path)}.partial`);
  try {
    await mkdir(directory, { recursive: true });
    await withFile(partial, 'w', async (file) => {
      for (const part of parts) await file.writeFile(part);
      await file.sync();
    });
    await rename(partial, path);
    await withFile(directory, 'r', (folder) => folder.sync());
  } catch (error) {
    await rm(partial, { force: true }).catch(() => undefined);
    const reason = error instanceof Error ? error.message : String(error);
    throw new Error(`cannot write '${path}': ${reason}; see that the volume is mounted, writable and not full`, {
      cause: error,
    });
  }
}

async function withFile(path: string, flags: string, use: (file: FileHandle) => Promise<void>): Promise<void> {
  const file = await open(path, flags);
  try {
    await use(file);
  } finally {
    await file.close();
  }
}

/** Newest first. */
async function checkpointNames(directory: string): Promise<string[]> {
  const names = await readdir(directory).catch(() => []);
  const stepOf = (name: string): number => Number(NAME.exec(name)?.[1]);
  return names.filter((name) => NAME.test(name)).sort((a, b) => stepOf(b) - stepOf(a));
}

/** A checkpoint file, or undefined where it is damaged. */
async function readCheckpoint(path: string): Promise<Checkpoint | undefined> {
  try {
    const { tensors, metadata } = decodeSafetensors(await readFile(path), path);
    const byKind = new Map<string, Map<string, OnnxTensor>>();
    for (const [key, tensor] of tensors) {
      const end = key.indexOf(SEPARATOR);
      const kind = key.slice(0, end);
      byKind.set(kind, (byKind.get(kind) ?? new Map<string, OnnxTensor>()).set(key.slice(end + 1), tensor));
    }
    const weights = byKind.get(WEIGHT) ?? new Map<string, OnnxTensor>();
    byKind.delete(WEIGHT);
    const step = Number(metadata['step']);
    if (!Number.isSafeInteger(step)) return undefined;
    return { step, model: metadata['model'] ?? '', weights, optimizer: byKind };
  } catch (error) {
    if (error instanceof SafetensorsError) return undefined;
    throw error;
  }
}
