import type { OnnxNode } from '../../onnx/model.ts';
import type { ImportContext } from '../../ops/op.ts';
import { OpError } from '../../ops/op.ts';
import type { Pads } from '../../ops/pad.ts';
import { padsOf } from '../../ops/pad.ts';
import { nodeWriter } from './writer.ts';

/** By mode, the element that is at a place before or behind an axis of so many. Source: https://onnx.ai/onnx/operators/onnx__Pad.html */
const ELEMENT_AT: Readonly<Record<string, (place: number, extent: number) => number>> = {
  edge: (place, extent) => Math.min(Math.max(place, 0), extent - 1),
  reflect(place, extent) {
    const period = Math.max(1, 2 * (extent - 1));
    const within = modulo(place, period);
    return Math.min(within, period - within);
  },
  wrap: modulo,
};

/**
 * A Pad that takes elements of its input, as a Gather for each axis; one that cuts elements off, as a Slice before it.
 * @returns undefined for one that puts a constant around: that is an op
 * @throws {OpError} for other modes, and as {@link padsOf}
 */
export function padAsGathers(node: OnnxNode, context: ImportContext): readonly OnnxNode[] | undefined {
  const attribute = node.attributes['mode'];
  const mode = attribute?.type === 'string' ? attribute.value : 'constant';
  const [pads, shape] = [padsOf(node, context), context.shape(0)];
  if (mode === 'constant')
    return pads.begin.concat(pads.end).some((each) => each < 0) ? cut(node, pads, shape) : undefined;
  const elementAt = Object.hasOwn(ELEMENT_AT, mode) ? ELEMENT_AT[mode] : undefined;
  if (elementAt === undefined) {
    throw new OpError(`Pad has mode ${mode}; expected constant or one of ${Object.keys(ELEMENT_AT).join(', ')}`);
  }
  const writer = nodeWriter(node);
  let value = node.inputs[0]!;
  for (const [axis, extent] of shape.entries()) {
    const [before, behind] = [pads.begin[axis]!, pads.end[axis]!];
    if (before === 0 && behind === 0) continue;
    const places = Array.from({ length: before + extent + behind }, (_, i) => elementAt(i - before, extent));
    value = writer.add('Gather', [value, writer.integers(places)], { axis: { type: 'int', value: axis } });
  }
  if (writer.nodes.length === 0) writer.add('Identity', [value]);
  return writer.finish();
}

function cut(node: OnnxNode, { begin, end }: Pads, shape: readonly number[]): readonly OnnxNode[] {
  const writer = nodeWriter(node);
  const starts = writer.integers(begin.map((each) => Math.max(0, -each)));
  const ends = writer.integers(shape.map((extent, axis) => extent + Math.min(0, end[axis]!)));
  const left = writer.add('Slice', [node.inputs[0]!, starts, ends]);
  const pads = writer.integers([...begin, ...end].map((each) => Math.max(0, each)));
  // Up to operator set 10 what is put around is an attribute.
  const { value } = node.attributes;
  writer.add('Pad', [left, pads, node.inputs[2] ?? ''], value === undefined ? {} : { value });
  return writer.finish();
}

function modulo(place: number, extent: number): number {
  return ((place % extent) + extent) % extent;
}
