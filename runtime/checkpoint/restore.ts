import { intersect, regionVolume, wholeRegion } from '../../soap/region/region.ts';
import type { Moments } from '../../soap/graph/graph.ts';
import type { Layout } from '../../soap/tasks/layout.ts';
import type { ParameterStore } from '../program/parameter-store.ts';
import { copyRegion, onHost } from '../kernels/regions.ts';
import { CURE } from './identity.ts';
import type { StoredBox } from './index-file.ts';
import type { OpenCheckpoint } from './read.ts';
import { MOMENT_KINDS, storedKinds, WEIGHT } from './write.ts';

/** Fills the shards of a device. @throws {Error} where the checkpoint is of other parameters */
export async function restoreState(
  layout: Layout,
  parameters: ParameterStore,
  checkpoint: OpenCheckpoint,
): Promise<void> {
  const byTensor = Map.groupBy(checkpoint.boxes, ({ kind, parameter }) => `${kind}/${parameter}`);
  for (const { shard, weight, optimizer } of parameters.states) {
    const { name, shape } = layout.graph.tensors[shard.tensor]!;
    for (const [i, kind] of storedKinds(shard, parameters).entries()) {
      const boxes = byTensor.get(`${kind}/${name}`) ?? [];
      if (String(boxes[0]?.shape) !== String(shape)) {
        const got = boxes[0] === undefined ? 'nothing' : `shape [${boxes[0].shape}]`;
        throw new Error(
          `checkpoint ${checkpoint.folder} has ${got} as ${kind} of '${name}'; expected [${shape}]: ${CURE}`,
        );
      }
      for (const box of boxes) {
        const common = shape.length === 0 ? [] : intersect(box.region, shard.region);
        if (common === undefined) continue;
        const source = { memory: await checkpoint.read(box), frame: box.region };
        copyRegion(source, onHost({ memory: [weight, ...optimizer][i]!, frame: shard.region }), common);
      }
    }
  }
  await parameters.upload();
}

/** Fills running moments; those that the checkpoint lacks stay. */
export async function restoreMoments(moments: ReadonlyMap<string, Moments>, checkpoint: OpenCheckpoint): Promise<void> {
  for (const box of checkpoint.boxes) {
    const field = MOMENT_KINDS.find(([kind]) => kind === box.kind)?.[1];
    const target = moments.get(box.parameter);
    if (field === undefined || target === undefined || target[field].length !== box.shape[0]) continue;
    target[field].set(await checkpoint.read(box), box.region[0]![0]);
  }
}

/** The boxes of each parameter, by its name. */
export function weightBoxes({ boxes }: OpenCheckpoint): Map<string, StoredBox[]> {
  const weights = boxes.filter(({ kind }) => kind === WEIGHT);
  return Map.groupBy(weights, ({ parameter }) => parameter);
}

/** A parameter, put together from its boxes; one that is whole in a box is not copied. */
export async function wholeWeight(checkpoint: OpenCheckpoint, boxes: readonly StoredBox[]): Promise<Float32Array> {
  const [first] = boxes;
  if (boxes.length === 1) return checkpoint.read(first!);
  const frame = wholeRegion(first!.shape);
  const memory = new Float32Array(regionVolume(frame));
  for (const box of boxes)
    copyRegion({ memory: await checkpoint.read(box), frame: box.region }, { memory, frame }, box.region);
  return memory;
}
