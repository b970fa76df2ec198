import type { OnnxNode, OnnxTensor } from '../onnx/model.ts';
import { ARITHMETIC } from './fold/arithmetic.ts';
import type { FoldScope, Folder } from './fold/folder.ts';
import { LAYOUT } from './fold/layout.ts';
import { SOURCES } from './fold/sources.ts';

const FOLDERS: Readonly<Record<string, Folder>> = { ...SOURCES, ...LAYOUT, ...ARITHMETIC };

/** Operator types that {@link foldNode} computes of what is known. */
export const FOLDED_TYPES: readonly string[] = Object.keys(FOLDERS);

/**
 * Evaluates a node whose result is known before any data is: constants, and the arithmetic on shapes, scales and masks that
 * exporters emit, in any operator set from 9.
 * @param constant the known value of an input, or undefined
 * @param shape the static shape of an input, or undefined where it is not known
 * @returns the value of the node's only output, or undefined where the node is not of this kind
 */
export function foldNode(
  node: OnnxNode,
  constant: FoldScope['constant'],
  shape: FoldScope['shape'],
): OnnxTensor | undefined {
  const folder = Object.hasOwn(FOLDERS, node.opType) ? FOLDERS[node.opType] : undefined;
  return node.domain === '' ? folder?.({ node, constant, shape }) : undefined;
}

/** Whether an operator type is one that {@link foldNode} may evaluate. */
export function isFoldable(opType: string): boolean {
  return Object.hasOwn(FOLDERS, opType);
}
