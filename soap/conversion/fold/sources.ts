import { dtypeName } from '../../onnx/element-types.ts';
import type { OnnxTensor } from '../../onnx/model.ts';
import type { Folder } from './folder.ts';
import { folded, integers, integerValues, intOf, MAX_FOLDED_ELEMENTS, numbersOf } from './folder.ts';
import { elementCount } from '../../onnx/indexing.ts';

/** Largest tensor that ConstantOfShape makes: above the largest layer of the known networks (VGG's 25088 x 4096). */
const MAX_FILLED_ELEMENTS = 2 ** 27;

/** Nodes that make a tensor from attributes, a shape or bounds. */
export const SOURCES: Readonly<Record<string, Folder>> = {
  Constant: ({ node }) => {
    const { value, value_int: int, value_ints: ints, value_float: float, value_floats: floats } = node.attributes;
    if (value?.type === 'tensor') return value.value;
    if (int?.type === 'int') return integers([int.value], []);
    if (ints?.type === 'ints') return integers(ints.value);
    if (float?.type === 'float') return folded('float32', [], [float.value]);
    if (floats?.type === 'floats') return folded('float32', [floats.value.length], floats.value);
    return undefined;
  },
  ConstantOfShape: ({ node, constant }) => {
    const shape = integerValues(constant(0));
    const { value } = node.attributes;
    if (shape === undefined || elementCount(shape) > MAX_FILLED_ELEMENTS || shape.some((extent) => extent < 0)) {
      return undefined;
    }
    return filled(shape, value?.type === 'tensor' ? value.value : undefined);
  },
  // The attributes came with operator set 15; both clamp and count from the end as Array.slice does.
  Shape: ({ node, shape }) => {
    const [start, end] = [node.attributes['start'], node.attributes['end']];
    const extents = shape(0);
    return (
      extents &&
      integers(extents.slice(start?.type === 'int' ? start.value : 0, end?.type === 'int' ? end.value : undefined))
    );
  },
  Size: ({ shape }) => {
    const extents = shape(0);
    return extents && integers([elementCount(extents)], []);
  },
  /** Ones on a diagonal of a matrix: torch.eye, and how torch.diagonal is exported. */
  EyeLike: (scope) => {
    const extents = scope.shape(0);
    const [rows, columns] = extents ?? [];
    const dtype = dtypeName(intOf(scope, 'dtype', 1));
    if (rows === undefined || columns === undefined || extents?.length !== 2 || dtype === undefined) return undefined;
    if (rows * columns > MAX_FOLDED_ELEMENTS) return undefined;
    const values = new Float64Array(rows * columns);
    const k = intOf(scope, 'k', 0);
    for (let row = Math.max(0, -k); row < rows && row + k < columns; row++) values[row * columns + row + k] = 1;
    return folded(dtype, [rows, columns], values);
  },
  Range: ({ constant }) => {
    const [start, limit, delta] = [0, 1, 2].map((input) => numbersOf(constant(input))?.[0]);
    if (start === undefined || limit === undefined || delta === undefined || delta === 0) return undefined;
    const length = Math.max(0, Math.ceil((limit - start) / delta));
    if (length > MAX_FOLDED_ELEMENTS) return undefined;
    return folded(
      constant(0)!.dtype,
      [length],
      Array.from({ length }, (_, i) => start + i * delta),
    );
  },
};

/** A tensor of one value, 0 of float32 where none is given. */
function filled(shape: readonly number[], value: OnnxTensor | undefined): OnnxTensor | undefined {
  const first = Number(value?.data[0] ?? 0);
  // Not through an array of numbers: these may be the weights of a large layer.
  if (value === undefined || value.dtype === 'float32') {
    const data = new Float32Array(elementCount(shape));
    return { dtype: 'float32', shape, data: first === 0 ? data : data.fill(first) };
  }
  if (elementCount(shape) > MAX_FOLDED_ELEMENTS) return undefined;
  return folded(value.dtype, shape, new Float64Array(elementCount(shape)).fill(first));
}
