import { normalAxis } from '../onnx/indexing.ts';
import type { OnnxNode } from '../onnx/model.ts';
import { OpError } from './op.ts';

/**
 * An axis that a node names, which may count from the last, counted from the first.
 * @param rank axes of the tensor that has it
 * @throws {OpError} where it has no such axis
 */
export function nodeAxis({ opType }: Pick<OnnxNode, 'opType'>, axis: number, rank: number): number {
  const found = normalAxis(axis, rank);
  if (found !== undefined) return found;
  throw new OpError(`${opType} has axis ${axis} of a tensor with ${rank}; expected one from ${-rank} to ${rank - 1}`);
}

/** The same for a list. @throws {OpError} where one is not there, or there twice */
export function nodeAxes(node: Pick<OnnxNode, 'opType'>, axes: readonly number[], rank: number): number[] {
  const found = axes.map((axis) => nodeAxis(node, axis, rank));
  if (new Set(found).size === found.length) return found;
  throw new OpError(`${node.opType} has axes [${axes}] of a tensor with ${rank}; expected each once`);
}
