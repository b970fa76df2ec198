import { OpError } from '../../ops/op.ts';
import type { Shape } from '../../graph/graph.ts';
import type { RecurrentNode } from './node.ts';
import { NODE_INPUT } from './node.ts';
import type { Rearranged } from './weight-runs.ts';
import { equalPart, reordered, wholeSource } from './weight-runs.ts';

/** A parameter of an op, and where its values come from. */
export interface RecurrentParameter {
  readonly name: string;
  readonly shape: Shape;
  readonly value: Rearranged;
}

/**
 * The weights and biases of one direction in the layout of the op. A parameter is called as the constant of the file that has
 * exactly its values, which PyTorch's exporter takes apart and puts together; else as the node's input.
 * @param rearranged an input as a rearranged constant
 * @param sizeOfConstant elements of a constant of the file
 * @throws {OpError} for weights that are computed, or of shapes that do not fit
 */
export function directionParameters(
  { node, reverse, gateOrder }: RecurrentNode,
  direction: number,
  rearranged: (input: number) => Rearranged | undefined,
  sizeOfConstant: (name: string) => number,
): RecurrentParameter[] {
  const gates = gateOrder.length;
  const directions = reverse.length;
  const constant = (input: number, ...shape: (number | undefined)[]): Rearranged => {
    const value = rearranged(input);
    if (value === undefined) throw new OpError(`${node.opType} has weights that are computed; expected constants`);
    if (shape.some((extent, axis) => extent !== undefined && extent !== value.shape[axis])) {
      const expected = shape.map((extent) => extent ?? 'any');
      throw new OpError(`${node.opType} has weights of shape [${value.shape}]; expected [${expected}]`);
    }
    return value;
  };
  const recurrentWeight = constant(NODE_INPUT.recurrentWeight, directions, undefined, undefined);
  const units = recurrentWeight.shape[2]!;
  const inputWeight = constant(NODE_INPUT.inputWeight, directions, gates * units, undefined);
  const width = inputWeight.shape[2]!;
  constant(NODE_INPUT.recurrentWeight, directions, gates * units, units);
  const named = (input: number, value: Rearranged): RecurrentParameter => {
    const suffix = directions === 1 ? '' : `.${reverse[direction] === true ? 'reverse' : 'forward'}`;
    const name = wholeSource(value, sizeOfConstant) ?? `${node.inputs[input]}${suffix}`;
    return { name, shape: value.shape, value };
  };
  const ofDirection = (value: Rearranged, shape: Shape): Rearranged => equalPart(value, direction, directions, shape);
  const weights = [
    named(NODE_INPUT.inputWeight, reordered(ofDirection(inputWeight, [gates, units, width]), gateOrder)),
    named(NODE_INPUT.recurrentWeight, reordered(ofDirection(recurrentWeight, [gates, units, units]), gateOrder)),
  ];
  if ((node.inputs[NODE_INPUT.bias] ?? '') === '') return weights;
  const bias = ofDirection(constant(NODE_INPUT.bias, directions, 2 * gates * units), [2, gates, units]);
  const both = [0, 1].map((k) => reordered(equalPart(bias, k, 2, [gates, units]), gateOrder));
  if (both.every((value) => wholeSource(value, sizeOfConstant) !== undefined)) {
    return [...weights, ...both.map((value) => named(NODE_INPUT.bias, value))];
  }
  const order = [...gateOrder, ...gateOrder.map((gate) => gates + gate)];
  return [...weights, named(NODE_INPUT.bias, reordered(bias, order))];
}
