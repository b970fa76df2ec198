import { wholeRegion } from '../../soap/region/region.ts';
import type { InMemoryRun } from '../../runtime/program/in-memory.ts';
import type { ShardState } from '../../runtime/program/parameter-store.ts';
import { copyRegion, onHost } from '../../runtime/kernels/regions.ts';

/**
 * Gives a run the weights and the optimizer's state of another of the same graph, however that is split.
 * @param from under a strategy whose first device has all parameters whole
 */
export async function copyState(from: InMemoryRun, to: InMemoryRun): Promise<void> {
  const [source] = from.programs;
  await source!.parameters.download();
  const whole = new Map<number, ShardState>();
  for (const state of source!.parameters.states) whole.set(state.shard.tensor, state);
  for (const { parameters } of to.programs) {
    await parameters.ready();
    for (const { shard, weight, optimizer } of parameters.states) {
      const frame = wholeRegion(to.layout.graph.tensors[shard.tensor]!.shape);
      const read = whole.get(shard.tensor)!;
      const values = [read.weight, ...read.optimizer];
      for (const [index, memory] of [weight, ...optimizer].entries()) {
        const target = { memory, frame: shard.region };
        copyRegion(onHost({ memory: values[index]!, frame }), onHost(target), shard.region);
      }
    }
    await parameters.upload();
  }
}
