import type { Region } from '../region/region.ts';
import { wholeRegion } from '../region/region.ts';
import type { Dimension, OpDefinition, OpSignature, Part } from './op.ts';
import { OpError } from './op.ts';
import { recurrentBackward } from './recurrent-backward.ts';
import type { RecurrentCell } from './recurrent-cell.ts';
import { recurrentForward } from './recurrent-forward.ts';
import { recurrentToOnnx } from './recurrent-onnx.ts';
import { recurrentOperands, recurrentOutputs, stepsOf } from './recurrent-operands.ts';

/**
 * An op that runs `steps` steps of a recurrent layer from step `start` of x on: what the paper unrolls into one op a step.
 * With {reverse: true} it runs through them from the last to the first. With {initial: true} the sequence starts here: the
 * states are zeros, and are no inputs; with {initial: 'hidden'} or {initial: 'memory'} that state alone.
 *
 * inputs: x [N, S, in], hidden [N, H], memory [N, H] where the cell has one, inputWeight [gates, H, in], recurrentWeight
 * [gates, H, H], and biases (see RecurrentOperands); outputs: y [N, steps, H], the states after the steps [N, H].
 *
 * Sample. Channel splits the units, and the weights with them, where there is one step: before the next, a part needs what
 * the others have computed.
 */
export function recurrentOp(cell: RecurrentCell): OpDefinition {
  const { kind } = cell;
  return {
    kind,
    onnxTypes: [],
    fromOnnx() {
      throw new OpError(`internal: a node is unrolled into several ops '${kind}'`);
    },
    outputShapes: (inputs, attributes) => recurrentOutputs(cell, inputs, attributes),
    dimensions({ attributes, outputs }): readonly Dimension[] {
      const [samples, steps, units] = outputs[0]!;
      const sample: Dimension = { name: 'sample', kind: 'sample', size: samples!, axis: 0 };
      if (steps! > 1 || !cell.splitsUnits(attributes)) return [sample];
      return [sample, { name: 'channel', kind: 'parameter', size: units!, axis: 2 }];
    },
    inputRegion: (signature, output, input) => inputRegion(cell, signature, output, input),
    outputRegion: (_signature, output, index) => (index === 0 ? output : [output[0]!, output[2]!]),
    forwardFlops: (part) => flops(cell, part),
    backwardFlops: (part) => 2 * flops(cell, part),
    weightGradientFlops: (part, input) => weightGradientFlops(cell, part, input),
    forward: (emit, part) => recurrentForward(cell, emit, part),
    backward: (emit, part) => recurrentBackward(cell, emit, part),
    toOnnx: (emit, part) => recurrentToOnnx(cell, emit, part),
  };
}

function inputRegion(cell: RecurrentCell, signature: OpSignature, output: Region, input: number): Region {
  const { attributes, inputs } = signature;
  const at = recurrentOperands(cell, attributes, inputs);
  const whole = wholeRegion(inputs[input]!);
  const [samples, , units] = [output[0]!, output[1]!, output[2]!];
  if (input === at.x) {
    const { start, steps } = stepsOf(attributes, inputs[at.x]!);
    return [samples, [start, start + steps], whole[2]!];
  }
  if (input === at.hidden) return [samples, whole[1]!];
  if (input === at.memory) return [samples, units];
  if (input === at.inputWeight || input === at.recurrentWeight) return [whole[0]!, units, whole[2]!];
  return whole.with(whole.length - 1, units);
}

function weightGradientFlops(cell: RecurrentCell, { signature, output }: Part, input: number): number {
  const { attributes, inputs } = signature;
  const { inputWeight, recurrentWeight } = recurrentOperands(cell, attributes, inputs);
  if (input !== inputWeight && input !== recurrentWeight) return 0;
  const [samples, steps, units] = output.map(([start, end]) => end - start);
  return samples! * steps! * units! * 2 * cell.gates * inputs[input]![2]!;
}

function flops({ gates, flopsPerUnit }: RecurrentCell, { signature, output }: Part): number {
  const [samples, steps, units] = output.map(([start, end]) => end - start);
  const operands = signature.inputs[0]![2]! + signature.outputs[0]![2]!;
  return samples! * steps! * units! * (2 * gates * operands + flopsPerUnit);
}
