import { OpError } from '../ops/op.ts';
import { GraphBuilder } from './builder.ts';
import type { Graph, Tensor } from './graph.ts';

export type LossName = 'crossEntropy' | 'meanSquaredError';

/** Name of the graph input that carries what the model should have said; data sets use the same. */
export const TARGETS = 'targets';

/** A graph that ends in a loss. The loss of a step is the mean over the elements of the loss op's output. */
export interface TrainingGraph {
  readonly graph: Graph;
  /** Id of the loss op. */
  readonly lossOp: number;
  /** Tensor id of the model's result that the loss reads. */
  readonly prediction: number;
}

/**
 * Appends a loss to a model with one result, and the graph input {@link TARGETS} that it reads.
 * @throws {OpError} where the loss does not fit the model's result.
 */
export function attachLoss(model: Graph, loss: LossName): TrainingGraph {
  const [output, ...others] = model.outputs;
  if (output === undefined || others.length > 0) {
    throw new OpError(
      `model '${model.name}' has ${model.outputs.length} results; a loss needs a model with exactly one`,
    );
  }
  const prediction = model.tensors[output]!;
  const builder = GraphBuilder.from(model);
  const targets =
    loss === 'crossEntropy'
      ? builder.input(TARGETS, prediction.shape.slice(0, 1), 'int64')
      : builder.input(TARGETS, prediction.shape);
  const lossTensor = builder.op(loss, loss, [prediction.id, targets], { scale: 1 / lossElements(prediction, loss) });
  const graph = builder.build(model.name, [lossTensor]);
  return { graph, lossOp: graph.ops.length - 1, prediction: prediction.id };
}

function lossElements({ shape }: Tensor, loss: LossName): number {
  return loss === 'crossEntropy' ? shape[0]! : shape.reduce((a, b) => a * b, 1);
}
