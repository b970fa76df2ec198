import type { Graph, Moments } from '../../soap/graph/graph.ts';
import { runningMomentum } from '../../soap/ops/batch-norm.ts';
import { floats } from './assembly.ts';
import type { LossParts } from './evaluation.ts';

/** Names of what batch normalizations keep of a batch: its mean and its variance. */
export const MOMENTS = ['saved0', 'saved1'] as const;

/**
 * Running means and variances of batch normalizations, which inference takes in place of a batch's. A device keeps up the
 * channels of its own parts; a checkpoint has them all.
 * Source: torch.nn.BatchNorm2d: running = (1 - momentum) running + momentum batch, momentum 0.1 unless the model says otherwise, the
 * variance unbiased.
 */
export class RunningMoments {
  /** By op name, whole channels. */
  readonly moments: ReadonlyMap<string, Moments>;
  readonly #graph: Graph;

  /** @param initial those of the model's file; where left out, means of 0 and variances of 1 */
  constructor(graph: Graph, initial: ReadonlyMap<string, Moments> = new Map()) {
    this.#graph = graph;
    const normalizations = graph.ops.filter(({ kind }) => kind === 'batchNorm');
    this.moments = new Map(
      normalizations.map(({ name, outputs }) => {
        const channels = graph.tensors[outputs[0]!]!.shape[1]!;
        const given = initial.get(name);
        const mean = given?.mean.slice() ?? new Float32Array(channels);
        const variance = given?.variance.slice() ?? new Float32Array(channels).fill(1);
        return [name, { mean, variance }];
      }),
    );
  }

  /** Takes in the moments of the batch that a device has just trained on. */
  update(program: LossParts): void {
    for (const { id, name, outputs, kind, attributes } of this.#graph.ops) {
      if (kind !== 'batchNorm') continue;
      const { mean, variance } = this.moments.get(name)!;
      const kept = runningMomentum(attributes);
      const [samples = 1, , ...extents] = this.#graph.tensors[outputs[0]!]!.shape;
      const count = extents.reduce((a, b) => a * b, samples);
      const done = new Set<number>();
      for (const { part, memory } of program.partsOf(id)) {
        const [start] = part.output[1]!;
        // Parts that differ in samples or pixels have the same moments, those of the whole batch.
        if (done.has(start)) continue;
        done.add(start);
        blend(mean, start, floats(memory[MOMENTS[0]]!.host), kept, 1);
        blend(variance, start, floats(memory[MOMENTS[1]]!.host), kept, count > 1 ? count / (count - 1) : 1);
      }
    }
  }
}

/** @param kept the share of what is there that stays @param factor of the batch's values */
function blend(running: Float32Array, start: number, batch: Float32Array, kept: number, factor: number): void {
  for (let i = 0; i < batch.length; i++) {
    running[start + i] = kept * running[start + i]! + (1 - kept) * factor * batch[i]!;
  }
}
