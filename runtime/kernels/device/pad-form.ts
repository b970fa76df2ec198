import type { OnnxNode } from '../../../soap/onnx/model.ts';
import type { Rewriter } from './rewriter.ts';

/** A Pad of whole numbers by one value, which GPUs' providers do not have: for each axis that grows, what comes before and behind is joined to it. */
export function writeWholePad({ inputs, outputs: [y], attributes }: OnnxNode, to: Rewriter): boolean {
  const [x = '', pads = '', value = '', axes = ''] = inputs;
  if (to.dtypeOf(x) !== 'int64') return false;
  const { mode } = attributes;
  const by = to.numbersOf(pads);
  const shape = to.shapeOf(x);
  if (by === undefined || value === '' || axes !== '' || (mode?.type === 'string' && mode.value !== 'constant')) {
    throw to.error('no form of this Pad of whole numbers is known; expected constant pads, of all axes, and one value');
  }
  const grown = shape.map((_, axis) => axis).filter((axis) => by[axis]! + by[shape.length + axis]! > 0);
  let padded = x;
  grown.forEach((axis, i) => {
    const around = [by[axis]!, by[shape.length + axis]!].map((extent) =>
      extent === 0 ? [] : [to.node('Expand', [value, to.integers(...shape.with(axis, extent))])],
    );
    const [before = [], behind = []] = around;
    const joined = [...before, padded, ...behind];
    const isLast = i === grown.length - 1;
    padded = to.node('Concat', joined, { axis: { type: 'int', value: axis } }, isLast ? y : undefined);
    shape[axis] = shape[axis]! + by[axis]! + by[shape.length + axis]!;
  });
  if (grown.length === 0) to.node('Reshape', [x, to.integers(...shape)], {}, y);
  return true;
}
