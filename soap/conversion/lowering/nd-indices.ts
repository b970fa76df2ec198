import type { OnnxNode, OnnxTensor } from '../../onnx/model.ts';
import { flatPositions } from '../../onnx/nd-indices.ts';
import type { ImportContext } from '../../ops/op.ts';
import { integerList, OpError } from '../../ops/op.ts';
import { intAttribute } from '../../ops/unary.ts';
import type { Shape } from '../../graph/graph.ts';
import type { NodeWriter } from './writer.ts';
import { nodeWriter } from './writer.ts';

const [DATA, INDICES, UPDATES] = [0, 1, 2];

/** Which pieces of its data a node is about. */
interface Pieces {
  /** Axes that data and indices share, one index for each of their elements. */
  readonly batch: Shape;
  /** Axes of the data that an index, a vector, counts along. */
  readonly indexed: Shape;
  /** Axes of a piece, behind those. */
  readonly piece: Shape;
  /** Axes of the indices but for those of `batch` and the last, the vectors'. */
  readonly places: Shape;
}

/**
 * A GatherND, as PyTorch's exporter writes x[:, rows, columns], by the axes that it counts along as one: with constant indices, or
 * of a weight, a Gather, else a GatherElements, of as many indices as elements of a piece.
 * Source: https://onnx.ai/onnx/operators/onnx__GatherND.html
 * @throws {OpError} for shapes that do not fit
 */
export function gatherNdAsGather(node: OnnxNode, context: ImportContext): readonly OnnxNode[] {
  const pieces = piecesOf(node, context, intAttribute(node, 'batch_dims', 0));
  const ofSamples = context.constant(INDICES) === undefined ? ofEachSample(node, context, pieces) : undefined;
  if (ofSamples !== undefined) return ofSamples;
  const { batch, piece, places } = pieces;
  const writer = nodeWriter(node);
  const data = joinedData(writer, node.inputs[DATA]!, pieces);
  const constant = batch.length === 0 ? context.constant(INDICES) : undefined;
  if (constant !== undefined) {
    writer.add('Gather', [data, writer.constant(positionsOf(node, constant, pieces))]);
    return writer.finish();
  }
  if (!context.computed(DATA) && batch.length === 0 && pieces.indexed.length === 1) {
    writer.add('Gather', [data, writer.add('Squeeze', [node.inputs[INDICES]!, writer.integers([-1])])]);
    return writer.finish();
  }
  const axis = { type: 'int', value: batch.length } as const;
  const gathered = writer.add('GatherElements', [data, spreadIndices(writer, node, context, pieces)], { axis });
  writer.add('Reshape', [gathered, writer.integers([...kept(batch), ...places, ...piece])]);
  return writer.finish();
}

/**
 * A ScatterND, as PyTorch's exporters write an assignment to a slice, as a ScatterElements of as many updates as elements of a piece.
 * Source: https://onnx.ai/onnx/operators/onnx__ScatterND.html
 * @throws {OpError} for shapes that do not fit
 */
export function scatterNdAsElements(node: OnnxNode, context: ImportContext): readonly OnnxNode[] {
  const pieces = piecesOf(node, context, 0);
  const { piece, places } = pieces;
  const expected = [...places, ...piece];
  if (String(context.shape(UPDATES)) !== String(expected)) {
    throw new OpError(`ScatterND has updates of shape [${context.shape(UPDATES)}]; expected [${expected}]`);
  }
  const writer = nodeWriter(node);
  const data = joinedData(writer, node.inputs[DATA]!, pieces);
  const indices = spreadIndices(writer, node, context, pieces);
  const updates = writer.add('Reshape', [node.inputs[UPDATES]!, writer.integers([volume(places), ...piece])]);
  const scattered = writer.add('ScatterElements', [data, indices, updates], node.attributes);
  if (pieces.indexed.length > 1) writer.add('Reshape', [scattered, writer.integers(context.shape(DATA))]);
  return writer.finish();
}

function piecesOf(node: OnnxNode, context: ImportContext, shared: number): Pieces {
  const [data, indices] = [context.shape(DATA), context.shape(INDICES)];
  const count = indices.at(-1) ?? 0;
  const [batch, indexed] = [data.slice(0, shared), data.slice(shared, shared + count)];
  const fits = indexed.length === count && String(indices.slice(0, shared)) === String(batch);
  if (count < 1 || indices.length <= shared || !fits) {
    throw new OpError(
      `${node.opType} has indices of shape [${indices}] for data of [${data}]; ` +
        `expected the first ${shared} extents alike, and a last one from 1 to ${data.length - shared}`,
    );
  }
  return { batch, indexed, piece: data.slice(shared + count), places: indices.slice(shared, -1) };
}

/**
 * A GatherND whose vectors of indices begin with 0, 1, ... for the samples, as of x[torch.arange(len(x)), steps], as one within each sample:
 * so it splits by samples. CLIP takes the last token of each text so, and GPT-2 that which it classifies by.
 */
function ofEachSample(
  node: OnnxNode,
  context: ImportContext,
  { batch, indexed, places }: Pieces,
): readonly OnnxNode[] | undefined {
  const made = context.maker(INDICES);
  const [samples] = context.shape(DATA);
  const columns = made?.node.inputs ?? [];
  if (made?.node.opType !== 'Concat' || batch.length > 0 || String(places) !== String([samples])) return undefined;
  const isColumn = columns.every((_, input) => String(made.context.shape(input)) === String([samples, 1]));
  const first = made.context.constant(0);
  if (!isColumn || columns.length !== indexed.length || columns.length < 2 || first === undefined) return undefined;
  if (!integerList(first).every((index, sample) => index === sample)) return undefined;
  const writer = nodeWriter(node);
  const indices = writer.add('Concat', columns.slice(1), { axis: { type: 'int', value: 1 } });
  writer.add('GatherND', [node.inputs[DATA]!, indices], { batch_dims: { type: 'int', value: 1 } });
  return writer.finish();
}

/** Data with the axes that indices count along as one. */
function joinedData(writer: NodeWriter, data: string, { batch, indexed, piece }: Pieces): string {
  if (indexed.length === 1) return data;
  return writer.add('Reshape', [data, writer.integers([...kept(batch), volume(indexed), ...piece])]);
}

/** For each element of each piece, where along the joined axis it is: [...batch, places, ...piece]. */
function spreadIndices(writer: NodeWriter, node: OnnxNode, context: ImportContext, pieces: Pieces): string {
  const { batch, piece, places } = pieces;
  const constant = context.constant(INDICES);
  const flat =
    constant === undefined
      ? computedPositions(writer, node.inputs[INDICES]!, pieces)
      : writer.constant(positionsOf(node, constant, pieces));
  const apart = [...kept(batch), volume(places), ...piece.map(() => 1)];
  const column = writer.add('Reshape', [flat, writer.integers(apart)]);
  if (piece.every((extent) => extent === 1)) return column;
  // Not an Expand: that takes extents for samples.
  const zeros = { dtype: 'int64', shape: piece, data: new BigInt64Array(volume(piece)) } as const;
  return writer.add('Add', [column, writer.constant(zeros)]);
}

/** Constant vectors of indices as positions along the joined axis. @throws {OpError} for one beyond the data */
function positionsOf({ opType }: OnnxNode, indices: OnnxTensor, { indexed }: Pieces): OnnxTensor {
  const at = flatPositions(indices, indexed);
  if (at === undefined) throw new OpError(`${opType} has indices beyond the data; expected some within [${indexed}]`);
  return { dtype: 'int64', shape: indices.shape.slice(0, -1), data: BigInt64Array.from(at, BigInt) };
}

/** The same of computed ones, in whole numbers; those below 0 count from the end of their axis. */
function computedPositions(writer: NodeWriter, indices: string, { indexed }: Pieces): string {
  const wholes = (values: readonly number[]): string => writer.integers(values);
  const isBehind = writer.add('Less', [indices, writer.number(0, 'int64')]);
  const counted = writer.add('Where', [isBehind, writer.add('Add', [indices, wholes(indexed)]), indices]);
  return indexed
    .map((_, k) => {
      const one = writer.add('Slice', [counted, wholes([k]), wholes([k + 1]), wholes([-1])]);
      const stride = volume(indexed.slice(k + 1));
      return stride === 1 ? one : writer.add('Mul', [one, writer.number(stride, 'int64')]);
    })
    .reduce((sum, term) => writer.add('Add', [sum, term]));
}

/** Extents of which the first, the samples, stays what it is. */
function kept(batch: Shape): number[] {
  return batch.map((extent, axis) => (axis === 0 ? 0 : extent));
}

function volume(shape: Shape): number {
  return shape.reduce((a, b) => a * b, 1);
}
