import type { OnnxNode, OnnxTensor } from '../../onnx/model.ts';
import { integerValues } from '../fold/folder.ts';
import type { AxisView } from './axis-view.ts';
import { reshapedView, slicedView, squeezedView, transposedView, unsqueezedView, viewShape } from './axis-view.ts';

/**
 * What a node makes of a view, where it is a view again.
 * @param constant an input that is a constant
 */
export function viewByNode(
  node: OnnxNode,
  view: AxisView,
  constant: (input: number) => OnnxTensor | undefined,
): AxisView | undefined {
  const list = (input: number, name: string): readonly number[] | undefined => {
    const attribute = node.attributes[name];
    return integerValues(constant(input)) ?? (attribute?.type === 'ints' ? attribute.value : undefined);
  };
  const rank = view.axes.length;
  switch (node.opType) {
    case 'Identity':
      return view;
    case 'Transpose':
      return transposedView(view, list(-1, 'perm') ?? [...view.axes.keys()].reverse());
    case 'Squeeze':
      return squeezedView(view, list(1, 'axes'));
    case 'Unsqueeze': {
      const axes = list(1, 'axes');
      return axes && unsqueezedView(view, axes);
    }
    case 'Reshape': {
      const shape = list(1, 'shape');
      return shape && reshapedView(view, shape);
    }
    case 'Slice': {
      const [starts, ends, axes] = [list(1, 'starts'), list(2, 'ends'), list(3, 'axes') ?? [0]];
      const steps = list(4, 'steps') ?? [1];
      if (starts?.length !== 1 || ends?.length !== 1 || axes.length !== 1 || steps[0] !== 1) return undefined;
      return sliced(view, axes[0]!, starts[0]!, ends[0]!);
    }
    case 'Gather': {
      const attribute = node.attributes['axis'];
      const axis = attribute?.type === 'int' ? attribute.value : 0;
      const at = axis < 0 ? axis + rank : axis;
      const [index, ...others] = list(1, 'indices') ?? [];
      const scalar = constant(1)?.shape.length === 0 && others.length === 0;
      if (!scalar || index === undefined) return undefined;
      const single = sliced(view, at, index, index === -1 ? Infinity : index + 1);
      return single && squeezedView(single, [at]);
    }
    default:
      return undefined;
  }
}

/** A slice in steps of 1, its bounds as ONNX has them: negative ones count from the end, ones beyond are clamped. */
function sliced(view: AxisView, axis: number, start: number, end: number): AxisView | undefined {
  const at = axis < 0 ? axis + view.axes.length : axis;
  const extent = viewShape(view)[at] ?? 0;
  const bound = (value: number): number => Math.min(Math.max(value < 0 ? value + extent : value, 0), extent);
  return slicedView(view, at, bound(start), bound(end));
}
