import type { OnnxNode, OnnxTensor } from '../../onnx/model.ts';
import { OpError } from '../../ops/op.ts';
import type { OnnxRecurrence } from '../../ops/recurrent-onnx.ts';
import { ONNX_RECURRENCES } from '../../ops/recurrent-onnx.ts';
import type { Attributes } from '../../graph/graph.ts';

/** Positions of a node's inputs. Source: https://onnx.ai/onnx/operators/onnx__LSTM.html */
export const NODE_INPUT = {
  x: 0,
  inputWeight: 1,
  recurrentWeight: 2,
  bias: 3,
  sequenceLengths: 4,
  hidden: 5,
  memory: 6,
  peepholes: 7,
} as const;

/** What is known of each node type. */
export const RECURRENCES: ReadonlyMap<string, OnnxRecurrence> = new Map(
  ONNX_RECURRENCES.map((each) => [each.onnxType, each]),
);

/** What a node says. */
export interface RecurrentNode extends OnnxRecurrence {
  readonly node: OnnxNode;
  /** For each direction, whether it runs backwards. */
  readonly reverse: readonly boolean[];
  /** Whether x is [S, N, in] and not [N, S, in]; layout 0 of ONNX. */
  readonly timeFirst: boolean;
  /** By direction, attributes of its ops. */
  readonly attributes: readonly Attributes[];
}

/**
 * Reads a node's attributes.
 * @param stepsOf the length of the sequences, where time comes first or second
 * @param isZero whether an input is a constant of nothing but zeros
 * @throws {OpError} for a variant that the ops do not cover
 */
export function readRecurrentNode(
  node: OnnxNode,
  kind: OnnxRecurrence,
  stepsOf: (timeFirst: boolean) => number | undefined,
  constant: (input: number) => OnnxTensor | undefined,
  isZero: (input: number) => boolean,
): RecurrentNode {
  const { opType } = node;
  const timeFirst = intOf(node, 'layout') === 0;
  const direction = stringOf(node, 'direction') ?? 'forward';
  const reverse = { forward: [false], reverse: [true], bidirectional: [false, true] }[direction];
  if (reverse === undefined) {
    throw new OpError(`${opType} has direction '${direction}'; expected forward, reverse or bidirectional`);
  }
  const clip = node.attributes['clip'];
  if (clip !== undefined) throw new OpError(`${opType} clips its sums; expected no attribute clip`);
  if (intOf(node, 'input_forget') !== 0) throw new OpError(`${opType} has input_forget; expected gates of their own`);
  refuseUnequalLengths(node, constant(NODE_INPUT.sequenceLengths), stepsOf(timeFirst));
  refusePeepholes(node, isZero);
  const activations = activationsOf(node, kind, reverse.length);
  return {
    ...kind,
    node,
    reverse,
    timeFirst,
    attributes: activations.map((names) => opAttributes(node, names)),
  };
}

/** The activations of each direction. */
function activationsOf(node: OnnxNode, { activations }: OnnxRecurrence, directions: number): string[][] {
  const attribute = node.attributes['activations'];
  const named = attribute?.type === 'strings' ? attribute.value : [];
  const all = named.length > 0 ? named : Array.from({ length: directions }, () => activations).flat();
  const expected = node.opType === 'RNN' ? /^(tanh|relu)$/i : undefined;
  const fits = all.every((name, i) =>
    expected === undefined
      ? name.toLowerCase() === activations[i % activations.length]!.toLowerCase()
      : expected.test(name),
  );
  if (!fits || all.length !== activations.length * directions) {
    const known = node.opType === 'RNN' ? 'Tanh or Relu' : activations.join(', ');
    throw new OpError(`${node.opType} has activations ${all.join(', ')}; expected ${known} for each direction`);
  }
  return Array.from({ length: directions }, (_, d) => all.slice(d * activations.length, (d + 1) * activations.length));
}

function opAttributes(node: OnnxNode, activations: readonly string[]): Attributes {
  if (node.opType === 'GRU' && intOf(node, 'linear_before_reset') === 0) return { resetAfter: false };
  return node.opType === 'RNN' && activations[0]!.toLowerCase() === 'relu' ? { activation: 'relu' } : {};
}

function refuseUnequalLengths(
  { opType, inputs }: OnnxNode,
  lengths: OnnxTensor | undefined,
  steps: number | undefined,
): void {
  if ((inputs[NODE_INPUT.sequenceLengths] ?? '') === '') return;
  if (lengths === undefined || Array.from(lengths.data, Number).some((length) => length !== steps)) {
    throw new OpError(`${opType} has sequence_lens; expected every sequence to have all ${steps} steps`);
  }
}

function refusePeepholes({ opType, inputs }: OnnxNode, isZero: (input: number) => boolean): void {
  if (opType !== 'LSTM' || (inputs[NODE_INPUT.peepholes] ?? '') === '') return;
  if (!isZero(NODE_INPUT.peepholes)) throw new OpError('LSTM has peephole weights; expected none');
}

function intOf({ attributes }: OnnxNode, name: string): number {
  const attribute = attributes[name];
  return attribute?.type === 'int' ? attribute.value : 0;
}

function stringOf({ attributes }: OnnxNode, name: string): string | undefined {
  const attribute = attributes[name];
  return attribute?.type === 'string' ? attribute.value : undefined;
}
