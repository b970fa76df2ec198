import type { Graph, Op } from '../graph/graph.ts';
import { add } from './add.ts';
import { conv2d } from './conv2d.ts';
import { crossEntropy } from './cross-entropy.ts';
import { flatten } from './flatten.ts';
import { gru } from './gru.ts';
import { linear } from './linear.ts';
import { lstm } from './lstm.ts';
import { maxPool2d } from './max-pool2d.ts';
import { meanSquaredError } from './mean-squared-error.ts';
import type { Dimension, OpDefinition } from './op.ts';
import { OpError, opSignature } from './op.ts';
import { relu } from './relu.ts';
import { rnn } from './rnn.ts';
import { sigmoid } from './sigmoid.ts';
import { tanh } from './tanh.ts';

/** Every op there is. */
export const OP_DEFINITIONS: readonly OpDefinition[] = [
  add,
  conv2d,
  crossEntropy,
  flatten,
  gru,
  linear,
  lstm,
  maxPool2d,
  meanSquaredError,
  relu,
  rnn,
  sigmoid,
  tanh,
];

const byKind = new Map(OP_DEFINITIONS.map((definition) => [definition.kind, definition]));

/** The definition of an op's kind. @throws {OpError} for a kind that is not in the table. */
export function opDefinition(kind: string): OpDefinition {
  const definition = byKind.get(kind);
  if (definition === undefined) throw new OpError(`there is no op '${kind}'; known: ${[...byKind.keys()].join(', ')}`);
  return definition;
}

/** The dimensions along which an op of a graph can be split. */
export function opDimensions(graph: Graph, op: Op): readonly Dimension[] {
  return opDefinition(op.kind).dimensions(opSignature(graph, op));
}
