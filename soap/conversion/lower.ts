import type { OnnxNode } from '../onnx/model.ts';
import type { ImportContext } from '../ops/op.ts';
import {
  celuAsElu,
  geluAsTanh,
  mishAsProduct,
  preluAsChoice,
  seluAsElu,
  shrinkAsChoice,
  signAsComparisons,
  softsignAsQuotient,
  swishAsProduct,
  thresholdedAsChoice,
} from './lowering/activations.ts';
import { attentionAsProducts } from './lowering/attention.ts';
import { castLikeAsCast } from './lowering/cast-like.ts';
import { cumSumAsProduct } from './lowering/cumulative.ts';
import { depthToSpaceAsMoves, spaceToDepthAsMoves } from './lowering/depth-space.ts';
import { einsumAsProduct } from './lowering/einsum.ts';
import { extremesOfTwo } from './lowering/extremes.ts';
import { gemmAsProduct } from './lowering/gemm.ts';
import { isNanAsUnequal } from './lowering/is-nan.ts';
import { layerNormOverLastAxis } from './lowering/layer-norm.ts';
import { andAsGreater, notAsEqual, orAsGreater, xorAsEqual } from './lowering/logic.ts';
import { gatherNdAsGather, scatterNdAsElements } from './lowering/nd-indices.ts';
import { padAsGathers } from './lowering/pad.ts';
import { powAsExponential } from './lowering/power.ts';
import {
  reduceL1AsSum,
  reduceL2AsRoot,
  reduceLogSumAsLog,
  reduceLogSumExpAsSum,
  reduceMinAsMax,
  reduceSumSquareAsSum,
} from './lowering/reductions.ts';
import { resizeAsProducts, upsampleAsResize } from './lowering/resize.ts';
import { rmsNormAsQuotient } from './lowering/rms-norm.ts';
import { rotaryAsProducts } from './lowering/rotary.ts';
import { ceilAsCasts, floorAsCasts, roundAsCasts } from './lowering/rounding.ts';
import { elementAsSlice } from './lowering/sequence.ts';
import { splitAsSlices } from './lowering/split.ts';
import { tileAsCopies } from './lowering/tile.ts';
import { argMaxAsTop, argMinAsTop, hardmaxAsOneHot } from './lowering/extreme-places.ts';
import { acosAsAtan, asinAsAtan, coshAsExponentials, sinhAsProduct, tanAsQuotient } from './lowering/functions.ts';
import { isInfAsComparisons } from './lowering/is-inf.ts';
import { lpNormAsQuotient, meanVarianceAsQuotient } from './lowering/normalizations.ts';
import { oneHotAsComparison } from './lowering/one-hot.ts';
import { reduceProdAsProducts } from './lowering/product.ts';
import { modAsDifference } from './lowering/remainder.ts';
import { triluAsChoice } from './lowering/triangle.ts';

/** @returns undefined where the node stays as it is @throws {OpError} for a variant that cannot be written so */
type Lowering = (node: OnnxNode, context: ImportContext) => readonly OnnxNode[] | undefined;

/** How nodes are written as others, where there is no op that is as much. */
const LOWERINGS: Readonly<Record<string, Lowering>> = {
  Acos: acosAsAtan,
  And: andAsGreater,
  ArgMax: argMaxAsTop,
  ArgMin: argMinAsTop,
  Asin: asinAsAtan,
  Attention: attentionAsProducts,
  CastLike: castLikeAsCast,
  Ceil: ceilAsCasts,
  Celu: celuAsElu,
  Cosh: coshAsExponentials,
  CumSum: cumSumAsProduct,
  DepthToSpace: depthToSpaceAsMoves,
  Einsum: einsumAsProduct,
  Floor: floorAsCasts,
  GatherND: gatherNdAsGather,
  Gelu: geluAsTanh,
  Gemm: gemmAsProduct,
  Hardmax: hardmaxAsOneHot,
  IsInf: isInfAsComparisons,
  IsNaN: isNanAsUnequal,
  LayerNormalization: layerNormOverLastAxis,
  LpNormalization: lpNormAsQuotient,
  Max: extremesOfTwo,
  MeanVarianceNormalization: meanVarianceAsQuotient,
  Min: extremesOfTwo,
  Mish: mishAsProduct,
  Mod: modAsDifference,
  Not: notAsEqual,
  OneHot: oneHotAsComparison,
  Or: orAsGreater,
  PRelu: preluAsChoice,
  Pad: padAsGathers,
  Pow: powAsExponential,
  RMSNormalization: rmsNormAsQuotient,
  ReduceL1: reduceL1AsSum,
  ReduceL2: reduceL2AsRoot,
  ReduceLogSum: reduceLogSumAsLog,
  ReduceLogSumExp: reduceLogSumExpAsSum,
  ReduceMin: reduceMinAsMax,
  ReduceProd: reduceProdAsProducts,
  ReduceSumSquare: reduceSumSquareAsSum,
  Resize: resizeAsProducts,
  RotaryEmbedding: rotaryAsProducts,
  Round: roundAsCasts,
  ScatterND: scatterNdAsElements,
  Selu: seluAsElu,
  SequenceAt: elementAsSlice,
  Shrink: shrinkAsChoice,
  Sign: signAsComparisons,
  Sinh: sinhAsProduct,
  Softsign: softsignAsQuotient,
  SpaceToDepth: spaceToDepthAsMoves,
  Split: splitAsSlices,
  Swish: swishAsProduct,
  Tan: tanAsQuotient,
  ThresholdedRelu: thresholdedAsChoice,
  Tile: tileAsCopies,
  Trilu: triluAsChoice,
  Upsample: upsampleAsResize,
  Xor: xorAsEqual,
};

/** Operator types that {@link lowerNode} writes as others. */
export const LOWERED_TYPES: readonly string[] = Object.keys(LOWERINGS);

/** Whether an operator type is one that {@link lowerNode} writes as others. */
export function isLowered({ domain, opType }: OnnxNode): boolean {
  return domain === '' && Object.hasOwn(LOWERINGS, opType);
}

/**
 * Writes a node as others.
 * @returns undefined where the node stays as it is
 * @throws {OpError} for a variant that cannot be written so
 */
export function lowerNode(node: OnnxNode, context: ImportContext): readonly OnnxNode[] | undefined {
  return isLowered(node) ? LOWERINGS[node.opType]!(node, context) : undefined;
}
