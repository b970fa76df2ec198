import { mkdir, readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Moments } from '../../soap/graph/graph.ts';
import type { Region } from '../../soap/region/region.ts';
import type { Layout } from '../../soap/tasks/layout.ts';
import type { ParameterShard } from '../../soap/tasks/task-graph.ts';
import { encodeSafetensors } from '../../soap/safetensors/safetensors.ts';
import { regionShape, regionVolume, sameRegion, wholeRegion } from '../../soap/region/region.ts';
import type { OnnxTensor } from '../../soap/onnx/model.ts';
import type { TensorMemory } from '../kernels/kernels.ts';
import type { ParameterStore } from '../program/parameter-store.ts';
import { writtenBoxes } from './boxes.ts';
import type { CheckpointIndex, StoredBox } from './index-file.ts';
import { encodeIndex, INDEX_NAME } from './index-file.ts';
import { checkpointFolders, folderName, partialName, stepOf } from './folders.ts';
import type { Written } from '../storage/whole-file.ts';
import { syncFolder, writeError, writeWhole } from '../storage/whole-file.ts';
import { messageOf } from '../../soap/message-of.ts';

/** Kind of the parameters themselves. */
export const WEIGHT = 'weight';

/** The kinds of tensors that a checkpoint has of a shard: of a frozen one its values alone. */
export function storedKinds({ isTrained }: ParameterShard, { stateNames }: ParameterStore): readonly string[] {
  return isTrained ? [WEIGHT, ...stateNames] : [WEIGHT];
}

/** Kinds of the running moments of batch normalizations, whose ops take the place of parameters. */
export const MOMENT_KINDS = [
  ['runningMean', 'mean'],
  ['runningVariance', 'variance'],
] as const;

/** What one device wrote of a checkpoint. */
export interface ShardFile extends Written {
  readonly file: string;
  readonly boxes: Readonly<Record<string, Omit<StoredBox, 'file'>>>;
}

/** Writes the boxes that fall to a device into the folder of a checkpoint that is not whole yet. @throws {Error} a sentence */
export async function writeShards(
  directory: string,
  step: number,
  layout: Layout,
  { device, devices }: { readonly device: number; readonly devices: number },
  parameters: ParameterStore,
  moments: ReadonlyMap<string, Moments>,
): Promise<ShardFile> {
  const pad = (value: number): string => String(value).padStart(5, '0');
  const file = `model-${pad(device + 1)}-of-${pad(devices)}.safetensors`;
  await parameters.download();
  const tensors = new Map<string, OnnxTensor>();
  const boxes: Record<string, Omit<StoredBox, 'file'>> = {};
  for (const { device: writer, shard, region } of writtenBoxes(layout.shards)) {
    if (writer !== device) continue;
    const { name: parameter, shape } = layout.graph.tensors[shard.tensor]!;
    const { weight, optimizer } = parameters.state(shard.id);
    const isWhole = sameRegion(region, wholeRegion(shape));
    const suffix = isWhole ? '' : bounds(region);
    for (const [i, kind] of storedKinds(shard, parameters).entries()) {
      const name = `${kind}/${parameter}${suffix}`;
      const data = rowsOf([weight, ...optimizer][i]!.host, shard.region, region);
      tensors.set(name, { dtype: 'float32', shape: regionShape(region), data });
      boxes[name] = { kind, parameter, shape, region };
    }
  }
  for (const { op, region } of momentBoxes(layout, device)) {
    const shape = [moments.get(op)!.mean.length];
    for (const [kind, field] of MOMENT_KINDS) {
      const name = `${kind}/${op}${sameRegion(region, wholeRegion(shape)) ? '' : bounds(region)}`;
      const data = moments.get(op)![field].slice(...region[0]!);
      tensors.set(name, { dtype: 'float32', shape: [data.length], data });
      boxes[name] = { kind, parameter: op, shape, region };
    }
  }
  const path = join(directory, partialName(step), file);
  const metadata = { format: 'pt', step: String(step), device: String(device) };
  return { file, boxes, ...(await writeWhole(path, encodeSafetensors(tensors, metadata))) };
}

/** A slice of a box along its first axis, which is in one piece: the memory itself. */
function rowsOf(memory: TensorMemory, frame: Region, slice: Region): TensorMemory {
  if (sameRegion(slice, frame)) return memory;
  const [[from], [start, end]] = [frame[0]!, slice[0]!];
  const rowElements = regionVolume(frame.slice(1));
  return memory.subarray((start - from) * rowElements, (end - from) * rowElements);
}

/** The channels of each batch normalization whose running moments a device writes: those that its part is the first to have. */
function momentBoxes({ graph, parts }: Layout, device: number): { op: string; region: Region }[] {
  return graph.ops.flatMap(({ id, name, kind }) => {
    if (kind !== 'batchNorm') return [];
    const first = new Map(parts[id]!.toReversed().map((part) => [part.output[1]![0], part]));
    const own = [...first.values()].filter((part) => part.device === device);
    return own.map((part) => ({ op: name, region: [part.output[1]!] }));
  });
}

function bounds(region: Region): string {
  return `[${region.map(([start, end]) => `${start}:${end}`).join(',')}]`;
}

/**
 * Makes a checkpoint of the files of all devices: the index last, then the folder gets its name.
 * @returns the checkpoint's folder
 * @throws {Error} a sentence; the checkpoints before are as they were
 */
export async function commitCheckpoint(directory: string, index: CheckpointIndex): Promise<string> {
  const { step } = index.metadata;
  const partial = join(directory, partialName(step));
  const folder = join(directory, folderName(step));
  await checkPresence(partial, index);
  try {
    // A device of a run that was killed here may have left files of another number of devices.
    for (const name of await readdir(partial)) if (index.files[name] === undefined) await rm(join(partial, name));
    await writeWhole(join(partial, INDEX_NAME), [new TextEncoder().encode(encodeIndex(index))]);
    // Of the same step there can only be a damaged one: the run would have gone on from it.
    await rm(folder, { recursive: true, force: true });
    await rename(partial, folder);
    await syncFolder(directory);
  } catch (error) {
    throw writeError(folder, error);
  }
  return folder;
}

/** Removes what devices wrote of a checkpoint that cannot be finished. */
export async function abandonCheckpoint(directory: string, step: number): Promise<void> {
  await rm(join(directory, partialName(step)), { recursive: true, force: true });
}

/** Makes a folder for checkpoints. @throws {Error} a sentence */
export async function makeDirectory(directory: string): Promise<void> {
  await mkdir(directory, { recursive: true }).catch((error: unknown) => {
    throw writeError(directory, error);
  });
}

/** Whether this device sees what all of them wrote. */
async function checkPresence(partial: string, { files }: CheckpointIndex): Promise<void> {
  for (const [name, { bytes }] of Object.entries(files)) {
    const seen = await stat(join(partial, name)).then(
      ({ size }) => size,
      () => undefined,
    );
    if (seen === bytes) continue;
    throw new Error(
      `'${name}' in ${partial} was written with ${bytes} bytes, the first device sees ${seen ?? 'no such file'}; expected ` +
        'checkpoint.directory on one volume that all pods share (access mode ReadWriteMany)',
    );
  }
}

/**
 * Removes the checkpoints before one, but for the newest of them that make `keep` with it. Folders of later steps can only be damaged, or
 * the run would have gone on from them: they count for nothing.
 * @throws {Error} a sentence where one cannot be removed, such as one that is read on a network's volume
 */
export async function removeOld(directory: string, step: number, keep: number): Promise<void> {
  const before = (await checkpointFolders(directory)).filter((folder) => stepOf(folder) < step);
  for (const folder of before.slice(keep - 1)) {
    await rm(folder, { recursive: true, force: true }).catch((error: unknown) => {
      const reason = messageOf(error);
      throw new Error(`cannot remove the old checkpoint ${folder}: ${reason}; see that nothing has it open`, {
        cause: error,
      });
    });
  }
}
