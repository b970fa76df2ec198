import type { Attributes } from '../graph/graph.ts';
import type { OnnxAttribute } from '../onnx/model.ts';
import type { Emitter, Value } from './emitter.ts';
import { int } from './emitter.ts';
import type { Part } from './op.ts';
import type { RecurrentCell } from './recurrent-cell.ts';
import { concatAlong } from './recurrent-cell.ts';
import { recurrentOperands, stepsOf } from './recurrent-operands.ts';

/** A node type of ONNX and the op that it becomes. */
export interface OnnxRecurrence {
  readonly onnxType: string;
  readonly kind: string;
  /** For each row block of the op's weights, which of the node's it is. */
  readonly gateOrder: readonly number[];
  readonly hasMemory: boolean;
  /** The activations of one direction, as they are where nothing is said. */
  readonly activations: readonly string[];
}

/**
 * ONNX has the blocks of LSTM as i, o, f, c and those of GRU as z, r, h; the ops have PyTorch's order.
 * Sources: https://onnx.ai/onnx/operators/onnx__LSTM.html, onnx__GRU.html and onnx__RNN.html
 */
export const ONNX_RECURRENCES: readonly OnnxRecurrence[] = [
  {
    onnxType: 'LSTM',
    kind: 'lstm',
    gateOrder: [0, 2, 3, 1],
    hasMemory: true,
    activations: ['Sigmoid', 'Tanh', 'Tanh'],
  },
  { onnxType: 'GRU', kind: 'gru', gateOrder: [1, 0, 2], hasMemory: false, activations: ['Sigmoid', 'Tanh'] },
  { onnxType: 'RNN', kind: 'rnn', gateOrder: [0], hasMemory: false, activations: ['Tanh'] },
];

/** An omitted optional input. */
const OMITTED: Value = { name: '', dtype: 'float32', shape: [] };

/**
 * Emits a whole op as one LSTM, GRU or RNN node, time first, with the nodes around it that turn axes and reorder the weights:
 * what PyTorch's exporter writes too.
 */
export function recurrentToOnnx(cell: RecurrentCell, emit: Emitter, { signature }: Part): void {
  const { attributes, inputs, outputs } = signature;
  const at = recurrentOperands(cell, attributes, inputs);
  const recurrence = ONNX_RECURRENCES.find(({ kind }) => kind === cell.kind)!;
  const { gateOrder, onnxType } = recurrence;
  const [samples, steps, units] = outputs[0]!;
  const rows = gateOrder.length * units!;
  // For each block of the node, which of the op's it is.
  const order = gateOrder.map((_, block) => gateOrder.indexOf(block));
  const weight = (input: number): Value => {
    const value = emit.reshape(emit.input(input), [1, rows, inputs[input]![2]!]);
    return reordered(emit, value, order);
  };
  const state = (input: number | undefined): Value =>
    input === undefined ? OMITTED : emit.node('Unsqueeze', [emit.input(input), emit.ints([0])], [1, samples!, units!]);
  const operands = [
    emit.transpose(someSteps(emit, emit.input(at.x), attributes), [1, 0, 2]),
    weight(at.inputWeight),
    weight(at.recurrentWeight),
    biases(emit, at.biases, rows, order),
    OMITTED,
    state(at.hidden),
    ...(cell.hasMemory ? [state(at.memory)] : []),
  ];
  const results = [[steps!, 1, samples!, units!], ...outputs.slice(1).map(() => [1, samples!, units!])];
  const [y, ...states] = emit.nodes(
    onnxType,
    operands,
    results.map((shape) => ({ dtype: 'float32', shape })),
    { ...onnxAttributes(attributes, recurrence), hidden_size: int(units!) },
  );
  const timeFirst = emit.node('Squeeze', [y!, emit.ints([1])], [steps!, samples!, units!]);
  emit.setOutput(0, emit.transpose(timeFirst, [1, 0, 2]));
  for (const [i, value] of states.entries()) {
    emit.setOutput(i + 1, emit.node('Squeeze', [value, emit.ints([0])], [samples!, units!]));
  }
}

/** What a node says beside its size; nothing that goes without saying. */
function onnxAttributes(attributes: Attributes, { kind }: OnnxRecurrence): Record<string, OnnxAttribute> {
  const found: Record<string, OnnxAttribute> = {};
  if (attributes['reverse'] === true) found['direction'] = { type: 'string', value: 'reverse' };
  if (attributes['activation'] === 'relu') found['activations'] = { type: 'strings', value: ['Relu'] };
  if (kind === 'gru' && attributes['resetAfter'] !== false) found['linear_before_reset'] = int(1);
  return found;
}

function someSteps(emit: Emitter, x: Value, attributes: Attributes): Value {
  const { start, steps } = stepsOf(attributes, x.shape);
  if (steps === x.shape[1]) return x;
  const bounds = [start, start + steps, 1].map((bound) => emit.ints([bound]));
  return emit.node('Slice', [x, ...bounds], x.shape.with(1, steps));
}

/** Equal blocks of axis 1 in another order. */
function reordered(emit: Emitter, value: Value, order: readonly number[]): Value {
  const block = value.shape[1]! / order.length;
  const shape = value.shape.with(1, block);
  const blocks = order.map((k) => {
    const bounds = [k * block, (k + 1) * block, 1].map((bound) => emit.ints([bound]));
    return order.length === 1 ? value : emit.node('Slice', [value, ...bounds], shape);
  });
  return concatAlong(emit, blocks, 1);
}

/** Input and recurrent bias, [1, 2 * rows]. */
function biases(emit: Emitter, inputs: readonly number[], rows: number, order: readonly number[]): Value {
  const [first, second] = inputs;
  if (first === undefined) return OMITTED;
  if (second === undefined) {
    const both = emit.reshape(emit.input(first), [1, 2 * rows]);
    return reordered(emit, both, [...order, ...order.map((block) => order.length + block)]);
  }
  const each = [first, second].map((input) => reordered(emit, emit.reshape(emit.input(input), [1, rows]), order));
  return concatAlong(emit, each, 1);
}
