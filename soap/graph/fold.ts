import type { OnnxNode, OnnxTensor } from '../onnx/model.ts';

/** Integer results above this are not shape arithmetic but weights; they are left to the engine. */
const MAX_FOLDED_ELEMENTS = 65536;

/**
 * Evaluates a node whose result is known before any data is: constants, and the arithmetic on shapes that exporters emit.
 * @param constant the known value of an input, or undefined
 * @param shape the static shape of an input, or undefined where it is not known
 * @returns the value of the node's only output, or undefined where the node is not of this kind
 */
export function foldNode(
  node: OnnxNode,
  constant: (input: number) => OnnxTensor | undefined,
  shape: (input: number) => readonly number[] | undefined,
): OnnxTensor | undefined {
  const folder = Object.hasOwn(FOLDERS, node.opType) ? FOLDERS[node.opType] : undefined;
  return node.domain === '' ? folder?.(node, constant, shape) : undefined;
}

type Folder = typeof foldNode;

const FOLDERS: Readonly<Record<string, Folder>> = {
  Constant: (node) => {
    const { value, value_int: int, value_ints: ints, value_float: float, value_floats: floats } = node.attributes;
    if (value?.type === 'tensor') return value.value;
    if (int?.type === 'int') return integers([int.value], []);
    if (ints?.type === 'ints') return integers(ints.value);
    if (float?.type === 'float') return { dtype: 'float32', shape: [], data: Float32Array.of(float.value) };
    if (floats?.type === 'floats')
      return { dtype: 'float32', shape: [floats.value.length], data: Float32Array.from(floats.value) };
    return undefined;
  },
  Shape: (_node, _constant, shape) => {
    const extents = shape(0);
    return extents && integers(extents);
  },
  Identity: (_node, constant) => constant(0),
  Cast: (node, constant) => {
    const values = integerValues(constant(0));
    const to = node.attributes['to'];
    // 7 is int64 and 6 int32 (TensorProto.DataType); shapes stay int64 here.
    return values && to?.type === 'int' && [6, 7].includes(to.value) ? integers(values, constant(0)!.shape) : undefined;
  },
  Gather: (_node, constant) => {
    const [values, indices] = [integerValues(constant(0)), integerValues(constant(1))];
    if (values === undefined || indices === undefined || constant(0)!.shape.length !== 1) return undefined;
    const picked = indices.map((index) => values[index < 0 ? index + values.length : index]);
    return picked.every((value) => value !== undefined) ? integers(picked, constant(1)!.shape) : undefined;
  },
  Concat: (node, constant) => {
    const parts = node.inputs.map((_, i) => integerValues(constant(i)));
    return parts.every((part) => part !== undefined) ? integers(parts.flat()) : undefined;
  },
  Unsqueeze: (_node, constant) => vector(constant(0)),
  Squeeze: (_node, constant) => {
    const values = integerValues(constant(0));
    return values && integers(values, values.length === 1 ? [] : [values.length]);
  },
  Slice: (node, constant) => {
    const values = integerValues(constant(0));
    const start = integerValues(constant(1))?.[0] ?? attributeOf(node, 'starts');
    const end = integerValues(constant(2))?.[0] ?? attributeOf(node, 'ends');
    if (values === undefined || start === undefined || end === undefined || constant(0)!.shape.length !== 1)
      return undefined;
    return integers(values.slice(start, Math.min(end, values.length)));
  },
  Add: binary((a, b) => a + b),
  Sub: binary((a, b) => a - b),
  Mul: binary((a, b) => a * b),
  Div: binary((a, b) => Math.trunc(a / b)),
};

function binary(operate: (a: number, b: number) => number): Folder {
  return (_node, constant) => {
    const [a, b] = [integerValues(constant(0)), integerValues(constant(1))];
    if (a === undefined || b === undefined || (a.length !== b.length && a.length !== 1 && b.length !== 1))
      return undefined;
    const [longer, shape] = a.length >= b.length ? [a, constant(0)!.shape] : [b, constant(1)!.shape];
    return integers(
      longer.map((_, i) => operate(a[a.length === 1 ? 0 : i]!, b[b.length === 1 ? 0 : i]!)),
      shape,
    );
  };
}

function vector(tensor: OnnxTensor | undefined): OnnxTensor | undefined {
  const values = integerValues(tensor);
  return values && integers(values);
}

function attributeOf(node: OnnxNode, name: string): number | undefined {
  const attribute = node.attributes[name];
  return attribute?.type === 'ints' ? attribute.value[0] : undefined;
}

/** The values of an integer tensor small enough to be shape arithmetic. */
export function integerValues(tensor: OnnxTensor | undefined): number[] | undefined {
  if (tensor === undefined || tensor.data.length > MAX_FOLDED_ELEMENTS) return undefined;
  return tensor.dtype === 'int64' || tensor.dtype === 'int32' ? Array.from(tensor.data, Number) : undefined;
}

function integers(values: readonly number[], shape: readonly number[] = [values.length]): OnnxTensor {
  return { dtype: 'int64', shape, data: BigInt64Array.from(values, BigInt) };
}
