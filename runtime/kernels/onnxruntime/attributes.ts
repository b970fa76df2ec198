import type { OnnxNode } from '../../../soap/onnx/model.ts';

/** An integer attribute of a node, or what it is where left out. */
export function intAttribute({ attributes }: OnnxNode, name: string, otherwise: number): number {
  const attribute = attributes[name];
  return attribute?.type === 'int' ? attribute.value : otherwise;
}

/** An attribute that is a list of integers, or what it is where left out. */
export function intsAttribute({ attributes }: OnnxNode, name: string, otherwise: readonly number[]): readonly number[] {
  const attribute = attributes[name];
  return attribute?.type === 'ints' ? attribute.value : otherwise;
}

/** A number as an attribute of either type, or what it is where left out. */
export function numberAttribute({ attributes }: OnnxNode, name: string, otherwise: number): number {
  const attribute = attributes[name];
  return attribute?.type === 'int' || attribute?.type === 'float' ? attribute.value : otherwise;
}
