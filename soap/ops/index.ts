import type { Graph, Op } from '../graph/graph.ts';
import { abs } from './abs.ts';
import { add } from './add.ts';
import { atan } from './atan.ts';
import { attention } from './attention.ts';
import { avgPool2d } from './avg-pool2d.ts';
import { batchNorm } from './batch-norm.ts';
import { binaryCrossEntropy } from './binary-cross-entropy.ts';
import { cast } from './cast.ts';
import { clip } from './clip.ts';
import { concat } from './concat.ts';
import { constant } from './constant.ts';
import { convTranspose2d } from './conv-transpose2d.ts';
import { conv2d } from './conv2d.ts';
import { cos } from './cos.ts';
import { crossEntropy } from './cross-entropy.ts';
import { div } from './div.ts';
import { dropout } from './dropout.ts';
import { elu } from './elu.ts';
import { embedding } from './embedding.ts';
import { equal } from './equal.ts';
import { erf } from './erf.ts';
import { exp } from './exp.ts';
import { expand } from './expand.ts';
import { experts } from './experts.ts';
import { flatten } from './flatten.ts';
import { gather } from './gather.ts';
import { gatherElements } from './gather-elements.ts';
import { gelu } from './gelu.ts';
import { globalAveragePool } from './global-average-pool.ts';
import { greater } from './greater.ts';
import { greaterOrEqual } from './greater-or-equal.ts';
import { groupNorm } from './group-norm.ts';
import { gru } from './gru.ts';
import { hardSigmoid } from './hard-sigmoid.ts';
import { hardSwish } from './hard-swish.ts';
import { instanceNorm } from './instance-norm.ts';
import { layerNorm } from './layer-norm.ts';
import { leakyRelu } from './leaky-relu.ts';
import { less } from './less.ts';
import { lessOrEqual } from './less-or-equal.ts';
import { linear } from './linear.ts';
import { log } from './log.ts';
import { logSoftmax } from './log-softmax.ts';
import { lrn } from './lrn.ts';
import { lstm } from './lstm.ts';
import { matmul } from './matmul.ts';
import { maxPool2d } from './max-pool2d.ts';
import { max } from './max.ts';
import { meanSquaredError } from './mean-squared-error.ts';
import { min } from './min.ts';
import { mul } from './mul.ts';
import { neg } from './neg.ts';
import type { Dimension, OpDefinition } from './op.ts';
import { OpError, opSignature } from './op.ts';
import { pad } from './pad.ts';
import { pow } from './pow.ts';
import { reciprocal } from './reciprocal.ts';
import { reduceMax } from './reduce-max.ts';
import { reduceMean } from './reduce-mean.ts';
import { reduceSum } from './reduce-sum.ts';
import { relu } from './relu.ts';
import { reshape } from './reshape.ts';
import { rnn } from './rnn.ts';
import { scatterElements } from './scatter-elements.ts';
import { sigmoid } from './sigmoid.ts';
import { silu } from './silu.ts';
import { sin } from './sin.ts';
import { slice } from './slice.ts';
import { softmax } from './softmax.ts';
import { softplus } from './softplus.ts';
import { sqrt } from './sqrt.ts';
import { sub } from './sub.ts';
import { sum } from './sum.ts';
import { tanh } from './tanh.ts';
import { topK } from './top-k.ts';
import { transpose } from './transpose.ts';
import { where } from './where.ts';

/** Every op there is. */
export const OP_DEFINITIONS: readonly OpDefinition[] = [
  abs,
  add,
  atan,
  attention,
  avgPool2d,
  batchNorm,
  binaryCrossEntropy,
  cast,
  clip,
  concat,
  constant,
  conv2d,
  convTranspose2d,
  cos,
  crossEntropy,
  div,
  dropout,
  elu,
  embedding,
  equal,
  erf,
  exp,
  expand,
  experts,
  flatten,
  gather,
  gatherElements,
  gelu,
  globalAveragePool,
  greater,
  greaterOrEqual,
  groupNorm,
  gru,
  hardSigmoid,
  hardSwish,
  instanceNorm,
  layerNorm,
  leakyRelu,
  less,
  lessOrEqual,
  linear,
  log,
  logSoftmax,
  lrn,
  lstm,
  matmul,
  max,
  maxPool2d,
  meanSquaredError,
  min,
  mul,
  neg,
  pad,
  pow,
  reciprocal,
  reduceMax,
  reduceMean,
  reduceSum,
  relu,
  reshape,
  rnn,
  scatterElements,
  sigmoid,
  silu,
  sin,
  slice,
  softmax,
  softplus,
  sqrt,
  sub,
  sum,
  tanh,
  topK,
  transpose,
  where,
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
