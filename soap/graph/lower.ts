import type { OnnxNode } from '../onnx/model.ts';
import type { ImportContext } from '../ops/op.ts';
import {
  celuAsElu,
  geluAsTanh,
  mishAsProduct,
  preluAsChoice,
  seluAsElu,
  signAsComparisons,
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
import { padAsGathers } from './lowering/pad.ts';
import { powAsExponential } from './lowering/power.ts';
import {
  reduceL1AsSum,
  reduceL2AsRoot,
  reduceLogSumExpAsSum,
  reduceMinAsMax,
  reduceSumSquareAsSum,
} from './lowering/reductions.ts';
import { resizeAsProducts } from './lowering/resize.ts';
import { rmsNormAsQuotient } from './lowering/rms-norm.ts';
import { rotaryAsProducts } from './lowering/rotary.ts';
import { ceilAsCasts, floorAsCasts, roundAsCasts } from './lowering/rounding.ts';
import { elementAsSlice } from './lowering/sequence.ts';
import { splitAsSlices } from './lowering/split.ts';
import { tileAsConcats } from './lowering/tile.ts';

/** @returns undefined where the node stays as it is @throws {OpError} for a variant that cannot be written so */
type Lowering = (node: OnnxNode, context: ImportContext) => readonly OnnxNode[] | undefined;

/** How nodes are written as others, where there is no op that is as much. */
const LOWERINGS: Readonly<Record<string, Lowering>> = {
  And: andAsGreater,
  Attention: attentionAsProducts,
  CastLike: castLikeAsCast,
  Ceil: ceilAsCasts,
  Celu: celuAsElu,
  CumSum: cumSumAsProduct,
  DepthToSpace: depthToSpaceAsMoves,
  Einsum: einsumAsProduct,
  Floor: floorAsCasts,
  Gelu: geluAsTanh,
  Gemm: gemmAsProduct,
  IsNaN: isNanAsUnequal,
  LayerNormalization: layerNormOverLastAxis,
  Max: extremesOfTwo,
  Min: extremesOfTwo,
  Mish: mishAsProduct,
  Not: notAsEqual,
  Or: orAsGreater,
  PRelu: preluAsChoice,
  Pad: padAsGathers,
  Pow: powAsExponential,
  RMSNormalization: rmsNormAsQuotient,
  ReduceL1: reduceL1AsSum,
  ReduceL2: reduceL2AsRoot,
  ReduceLogSumExp: reduceLogSumExpAsSum,
  ReduceMin: reduceMinAsMax,
  ReduceSumSquare: reduceSumSquareAsSum,
  Resize: resizeAsProducts,
  RotaryEmbedding: rotaryAsProducts,
  Round: roundAsCasts,
  Selu: seluAsElu,
  SequenceAt: elementAsSlice,
  Sign: signAsComparisons,
  SpaceToDepth: spaceToDepthAsMoves,
  Split: splitAsSlices,
  Tile: tileAsConcats,
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
