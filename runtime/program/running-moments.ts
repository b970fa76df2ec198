import type { Graph, Moments } from '../../soap/graph/graph.ts';
import { floats } from './assembly.ts';
import type { LossParts } from './evaluation.ts';

/** Source: torch.nn.BatchNorm2d, default `momentum`: the share of a batch in the running moments. */
const MOMENTUM = 0.1;

/** Names of what batch normalizations keep of a batch: its mean and its variance. */
export const MOMENTS = ['saved0', 'saved1'] as const;

/**
 * Running means and variances of batch normalizations, which inference takes in place of a batch's. A device keeps up the
 * channels of its own parts; a checkpoint has them all.
 * Source: torch.nn.BatchNorm2d: running = 0.9 running + 0.1 batch, the variance unbiased.
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
    for (const { id, name, outputs, kind } of this.#graph.ops) {
      if (kind !== 'batchNorm') continue;
      const { mean, variance } = this.moments.get(name)!;
      const [samples = 1, , ...extents] = this.#graph.tensors[outputs[0]!]!.shape;
      const count = extents.reduce((a, b) => a * b, samples);
      const done = new Set<number>();
      for (const { part, memory } of program.partsOf(id)) {
        const [start] = part.output[1]!;
        // Parts that differ in samples or pixels have the same moments, those of the whole batch.
        if (done.has(start)) continue;
        done.add(start);
        blend(mean, start, floats(memory[MOMENTS[0]]!.host), 1);
        blend(variance, start, floats(memory[MOMENTS[1]]!.host), count > 1 ? count / (count - 1) : 1);
      }
    }
  }
}

function blend(running: Float32Array, start: number, batch: Float32Array, factor: number): void {
  for (let i = 0; i < batch.length; i++) {
    running[start + i] = (1 - MOMENTUM) * running[start + i]! + MOMENTUM * factor * batch[i]!;
  }
}
