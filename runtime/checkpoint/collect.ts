import type { OnnxTensor } from '../../soap/onnx/model.ts';
import type { Region } from '../../soap/strategy/region.ts';
import { intersect, regionVolume, wholeRegion } from '../../soap/strategy/region.ts';
import type { Layout } from '../../soap/tasks/layout.ts';
import type { Conductor } from '../program/conductor.ts';
import { LEADER } from '../program/conductor.ts';
import type { ParameterStore } from '../program/parameter-store.ts';
import { copyRegion } from '../program/regions.ts';
import type { Checkpoint } from './checkpoint.ts';

/** The whole parameters with the optimizer's state. */
export type TrainingState = Pick<Checkpoint, 'weights' | 'optimizer'>;

/** Brings the shards of all devices together on the leader; the others get undefined. */
export async function collectState(
  layout: Layout,
  parameters: ParameterStore,
  conductor: Conductor,
  pass: number,
  device: number,
): Promise<TrainingState | undefined> {
  if (!conductor.isLeader) {
    for (const { shard, weight, optimizer } of parameters.states) {
      if (shard.devices[0] === device) await conductor.handOver(pass, shard.id, [weight, ...optimizer]);
    }
    return undefined;
  }
  const weights = emptyTensors(layout);
  const optimizer = new Map(parameters.stateNames.map((name) => [name, emptyTensors(layout)]));
  for (const { id, tensor, region, devices } of layout.shards) {
    const { name } = layout.graph.tensors[tensor]!;
    const owner = devices[0]!;
    const own = owner === LEADER ? parameters.state(id) : undefined;
    for (const [round, whole] of [weights, ...optimizer.values()].entries()) {
      const held = own && [own.weight, ...own.optimizer][round];
      place(
        held ?? (await conductor.takeOver(pass, owner, { shard: id, round, elements: regionVolume(region) })),
        region,
        whole.get(name)!,
      );
    }
  }
  return { weights, optimizer };
}

/**
 * Fills the shards of a device from whole tensors.
 * @throws {Error} where the state is that of another model or optimizer
 */
export function restoreState(layout: Layout, parameters: ParameterStore, { weights, optimizer }: TrainingState): void {
  const [kept, wanted] = [[...optimizer.keys()].sort(), [...parameters.stateNames].sort()];
  if (String(kept) !== String(wanted)) {
    throw new Error(
      `the checkpoint has the optimizer's ${kept.join(' and ') || 'nothing'}; expected ${wanted.join(' and ')}: ` +
        'train on with the optimizer that wrote it, or choose another checkpoint.directory',
    );
  }
  for (const state of parameters.states) {
    const { name, shape } = layout.graph.tensors[state.shard.tensor]!;
    take(weights.get(name), shape, state.shard.region, state.weight, name);
    parameters.stateNames.forEach((kind, index) => {
      take(optimizer.get(kind)!.get(name), shape, state.shard.region, state.optimizer[index]!, name);
    });
    parameters.refresh(state.shard.id);
  }
}

function emptyTensors({ graph }: Layout): Map<string, OnnxTensor> {
  const parameters = graph.tensors.filter(({ role }) => role === 'parameter');
  return new Map(
    parameters.map(({ name, shape }): [string, OnnxTensor] => {
      return [name, { dtype: 'float32', shape, data: new Float32Array(shape.reduce((a, b) => a * b, 1)) }];
    }),
  );
}

function place(values: Float32Array, region: Region, whole: OnnxTensor): void {
  copyRegion({ memory: values, frame: region }, { memory: whole.data, frame: wholeRegion(whole.shape) }, region);
}

function take(
  whole: OnnxTensor | undefined,
  shape: readonly number[],
  region: Region,
  target: Float32Array,
  name: string,
): void {
  if (whole === undefined || String(whole.shape) !== String(shape)) {
    throw new Error(
      `the checkpoint has parameter '${name}' of shape [${whole?.shape}]; expected [${shape}] of this model`,
    );
  }
  const frame = wholeRegion(shape);
  copyRegion({ memory: whole.data, frame }, { memory: target, frame: region }, intersect(region, frame) ?? region);
}
