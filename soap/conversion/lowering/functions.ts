import type { OnnxNode } from '../../onnx/model.ts';
import type { NodeWriter } from './writer.ts';
import { nodeWriter } from './writer.ts';

/** sin x / cos x. */
export function tanAsQuotient(node: OnnxNode): readonly OnnxNode[] {
  const x = node.inputs[0]!;
  const writer = nodeWriter(node);
  writer.add('Div', [writer.add('Sin', [x]), writer.add('Cos', [x])]);
  return writer.finish();
}

/** (e^x + e^-x) / 2. */
export function coshAsExponentials(node: OnnxNode): readonly OnnxNode[] {
  const writer = nodeWriter(node);
  coshOf(writer, node.inputs[0]!);
  return writer.finish();
}

/** tanh x cosh x: near 0 a difference of exponentials would keep no digit of it. */
export function sinhAsProduct(node: OnnxNode): readonly OnnxNode[] {
  const x = node.inputs[0]!;
  const writer = nodeWriter(node);
  writer.add('Mul', [writer.add('Tanh', [x]), coshOf(writer, x)]);
  return writer.finish();
}

/** 2 atan(x / (1 + sqrt(1 - x^2))), also where x is 1. */
export function asinAsAtan(node: OnnxNode): readonly OnnxNode[] {
  const x = node.inputs[0]!;
  const writer = nodeWriter(node);
  const one = writer.number(1);
  const beside = writer.add('Sqrt', [writer.add('Mul', [writer.add('Sub', [one, x]), writer.add('Add', [one, x])])]);
  const half = writer.add('Atan', [writer.add('Div', [x, writer.add('Add', [one, beside])])]);
  writer.add('Mul', [half, writer.number(2)]);
  return writer.finish();
}

/** 2 atan(sqrt((1 - x) / (1 + x))). */
export function acosAsAtan(node: OnnxNode): readonly OnnxNode[] {
  const x = node.inputs[0]!;
  const writer = nodeWriter(node);
  const one = writer.number(1);
  const ratio = writer.add('Div', [writer.add('Sub', [one, x]), writer.add('Add', [one, x])]);
  writer.add('Mul', [writer.add('Atan', [writer.add('Sqrt', [ratio])]), writer.number(2)]);
  return writer.finish();
}

function coshOf(writer: NodeWriter, x: string): string {
  const sum = writer.add('Add', [writer.add('Exp', [x]), writer.add('Exp', [writer.add('Neg', [x])])]);
  return writer.add('Mul', [sum, writer.number(0.5)]);
}
