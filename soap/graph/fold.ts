import type { OnnxNode, OnnxTensor } from '../onnx/model.ts';

/** Integer results above this are not shape arithmetic but weights; they are left to the engine. */
const MAX_FOLDED_ELEMENTS = 65536;

/** Largest tensor that ConstantOfShape makes: above the largest layer of the known networks (VGG's 25088 x 4096). */
const MAX_FILLED_ELEMENTS = 2 ** 27;

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

/** Whether an operator type is one that {@link foldNode} may evaluate. */
export function isFoldable(opType: string): boolean {
  return Object.hasOwn(FOLDERS, opType);
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
  ConstantOfShape: (node, constant) => {
    const shape = integerValues(constant(0));
    const { value } = node.attributes;
    const elements = shape?.reduce((a, b) => a * b, 1) ?? Infinity;
    if (shape === undefined || elements > MAX_FILLED_ELEMENTS || shape.some((extent) => extent < 0)) return undefined;
    return filled(shape, elements, value?.type === 'tensor' ? value.value : undefined);
  },
  Shape: (node, _constant, shape) => {
    const [start, end] = [node.attributes['start'], node.attributes['end']];
    const extents = shape(0);
    // The attributes came with operator set 15; both clamp and count from the end as Array.slice does.
    return (
      extents &&
      integers(extents.slice(start?.type === 'int' ? start.value : 0, end?.type === 'int' ? end.value : undefined))
    );
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
  Unsqueeze: (_node, constant) => {
    const values = integerValues(constant(0));
    return values?.length === 1 ? integers(values) : undefined;
  },
  Squeeze: (_node, constant) => {
    const values = integerValues(constant(0));
    return values && integers(values, values.length === 1 ? [] : [values.length]);
  },
  Slice: (node, constant) => {
    const values = integerValues(constant(0));
    const start = integerValues(constant(1))?.[0] ?? attributeOf(node, 'starts');
    const end = integerValues(constant(2))?.[0] ?? attributeOf(node, 'ends');
    const hasStep = (node.inputs[4] ?? '') !== '';
    const step = hasStep ? integerValues(constant(4))?.[0] : 1;
    if (values === undefined || start === undefined || end === undefined || step === undefined || step === 0)
      return undefined;
    return constant(0)!.shape.length === 1 ? integers(sliced(values, start, end, step)) : undefined;
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
    const results = longer.map((_, i) => operate(a[a.length === 1 ? 0 : i]!, b[b.length === 1 ? 0 : i]!));
    return results.every(Number.isSafeInteger) ? integers(results, shape) : undefined;
  };
}

/** ONNX's Slice of a vector. Source: https://onnx.ai/onnx/operators/onnx__Slice.html, "effective start and end" */
function sliced(values: readonly number[], start: number, end: number, step: number): number[] {
  const [low, high] = step > 0 ? [0, values.length] : [-1, values.length - 1];
  const clamp = (at: number, least: number): number =>
    Math.min(Math.max(at < 0 ? at + values.length : at, least), high);
  const picked: number[] = [];
  const last = clamp(end, low);
  for (let i = clamp(start, 0); step > 0 ? i < last : i > last; i += step) picked.push(values[i]!);
  return picked;
}

/** A tensor of one value, 0 of float32 where none is given; undefined for types that no op reads. */
function filled(shape: readonly number[], elements: number, value: OnnxTensor | undefined): OnnxTensor | undefined {
  const first = value?.data[0] ?? 0;
  if (typeof first === 'bigint') {
    return elements > MAX_FOLDED_ELEMENTS
      ? undefined
      : { dtype: 'int64', shape, data: new BigInt64Array(elements).fill(first) };
  }
  if (value !== undefined && value.dtype !== 'float32') return undefined;
  const data = new Float32Array(elements);
  return { dtype: 'float32', shape, data: first === 0 ? data : data.fill(first) };
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
