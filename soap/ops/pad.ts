import type { Attributes } from '../graph/graph.ts';
import type { OnnxNode } from '../onnx/model.ts';
import type { Interval, Region } from '../region/region.ts';
import { regionShape } from '../region/region.ts';
import { elementwiseDimensions } from './elementwise.ts';
import { nodeAxes } from './node-axes.ts';
import type { ImportContext, OpDefinition, Part } from './op.ts';
import { integerList, numberAttribute, numbersAttribute, OpError, sameDtype } from './op.ts';

/** How far a tensor grows, by axis: before its first element and behind its last one; negative where it shrinks. */
export interface Pads {
  readonly begin: readonly number[];
  readonly end: readonly number[];
}

/**
 * Elements of one `value` around a tensor, as many by axis as `begin` and `end` say: causal convolutions. Every axis splits; a part
 * that is nothing but padding reads the element next to it.
 */
export const pad: OpDefinition = {
  kind: 'pad',
  onnxTypes: ['Pad'],
  fromOnnx(node, context) {
    const { begin, end } = padsOf(node, context);
    return { attributes: { begin, end, value: valueOf(node, context) }, inputs: [0] };
  },
  outputShapes([shape = []], attributes) {
    const { begin, end } = read(attributes);
    if (begin.length !== shape.length || end.length !== shape.length || [...begin, ...end].some((each) => each < 0)) {
      throw new OpError(`Pad has pads [${begin}] and [${end}] for shape [${shape}]; expected two of 0 or more by axis`);
    }
    return [shape.map((extent, axis) => begin[axis]! + extent + end[axis]!)];
  },
  outputDtypes: sameDtype,
  integerInputs: 'all',
  dimensions: elementwiseDimensions,
  inputRegion({ inputs, attributes }, output): Region {
    const { begin } = read(attributes);
    return output.map(([start, end], axis): Interval => {
      const [before, extent] = [begin[axis]!, inputs[0]![axis]!];
      const first = Math.min(Math.max(start - before, 0), extent - 1);
      return [first, Math.max(Math.min(end - before, extent), first + 1)];
    });
  },
  forwardFlops: () => 0,
  backwardFlops: () => 0,
  forward(emit, part) {
    const [x, shape] = [emit.input(0), regionShape(part.output)];
    const given = numberAttribute(part.signature.attributes, 'value');
    const value = x.dtype === 'int64' ? emit.int(given) : emit.scalar(given);
    const own = partPads(part);
    const node =
      own === undefined
        ? emit.node('Expand', [value, emit.ints(shape)], shape, {}, { dtype: x.dtype })
        : emit.node('Pad', [x, emit.ints([...own.begin, ...own.end]), value], shape, {}, { dtype: x.dtype });
    emit.setOutput(0, node);
  },
  backward(emit, part) {
    const [dy, shape, own] = [emit.gradOutput(0), regionShape(part.inputs[0]!), partPads(part)];
    if (own === undefined) {
      emit.setGradInput(0, emit.node('Expand', [emit.scalar(0), emit.ints(shape)], shape));
      return;
    }
    const ends = own.begin.map((before, axis) => before + shape[axis]!);
    const bounds = [own.begin, ends, [...ends.keys()]].map((values) => emit.ints(values));
    emit.setGradInput(0, emit.node('Slice', [dy, ...bounds], shape));
  },
};

/** The pads of a Pad node. @throws {OpError} where they are computed, or of the samples */
export function padsOf(node: OnnxNode, context: ImportContext): Pads {
  const [attribute, given, rank] = [node.attributes['pads'], context.constant(1), context.shape(0).length];
  const pads = attribute?.type === 'ints' ? attribute.value : given && integerList(given);
  if (pads === undefined) throw new OpError('Pad has pads that are computed; expected constants');
  const listed = context.constant(3);
  const named = listed === undefined ? Array.from({ length: rank }, (_, axis) => axis) : integerList(listed);
  const axes = nodeAxes(node, named, rank);
  if (pads.length !== 2 * axes.length) throw new OpError(`Pad has pads [${pads}]; expected two for each axis`);
  const side = (from: number): number[] =>
    Array.from({ length: rank }, (_, axis) => {
      const place = axes.indexOf(axis);
      return place < 0 ? 0 : pads[from + place]!;
    });
  const [begin, end] = [side(0), side(axes.length)];
  if (begin[0] !== 0 || end[0] !== 0) throw new OpError(`Pad has pads [${pads}]; expected 0 for the samples`);
  return { begin, end };
}

/** What is put around: an attribute up to operator set 10, an input since; 0 where left out. */
function valueOf(node: OnnxNode, context: ImportContext): number {
  const attribute = node.attributes['value'];
  if (attribute?.type === 'float') return attribute.value;
  if ((node.inputs[2] ?? '') === '') return 0;
  const value = context.scalar(2);
  if (value === undefined) throw new OpError('Pad has a value that is computed; expected a constant number');
  return value;
}

function read(attributes: Attributes): Pads {
  return { begin: numbersAttribute(attributes, 'begin'), end: numbersAttribute(attributes, 'end') };
}

/** What a part puts around the box that it reads; undefined where it has nothing of that box. */
function partPads({ signature, output, inputs }: Part): Pads | undefined {
  const { begin } = read(signature.attributes);
  const sides = output.map(([start, end], axis) => {
    const [first, last] = inputs[0]![axis]!;
    return { begin: first + begin[axis]! - start, end: end - (last + begin[axis]!) };
  });
  if (sides.some((side) => side.begin < 0 || side.end < 0)) return undefined;
  return { begin: sides.map((side) => side.begin), end: sides.map((side) => side.end) };
}
