import type { Op } from '../../soap/graph/graph.ts';
import type { TrainingGraph } from '../../soap/training/loss.ts';
import { opDimensions } from '../../soap/ops/index.ts';
import { floats } from './assembly.ts';
import type { ForwardProgram } from './part-program.ts';
import { elementCount } from '../../soap/onnx/indexing.ts';

/** What one device saw of a batch: only what its loss parts hold. */
export interface PartialResult {
  /** Sum of the loss elements. */
  readonly lossSum: number;
  /** Loss elements that count. */
  readonly lossCount: number;
  /** Those that the model has right; 0 where the loss does not say. */
  readonly correct: number;
}

/** A result of no samples. */
export const NOTHING: PartialResult = { lossSum: 0, lossCount: 0, correct: 0 };

/** What two results come to together. */
export function sumOf(a: PartialResult, b: PartialResult): PartialResult {
  return { lossSum: a.lossSum + b.lossSum, lossCount: a.lossCount + b.lossCount, correct: a.correct + b.correct };
}

/** The parts of an op on a device. */
export interface LossParts {
  partsOf(op: number): readonly ForwardProgram[];
}

/** Loss elements of a whole batch, whether they count or not. */
export function batchElements({ graph, lossOps }: TrainingGraph): number {
  const shapes = lossOps.map((op) => graph.tensors[graph.ops[op]!.outputs[0]!]!.shape);
  return shapes.reduce((sum, shape) => sum + elementCount(shape), 0);
}

/** Whether the losses say what the model has right. */
export function judgesCorrect({ graph, lossOps }: TrainingGraph): boolean {
  return lossOps.every((op) => graph.ops[op]!.outputs.length > 1);
}

/**
 * Reads the loss parts of a device after a pass.
 * @param validRows rows of the batch that count; a last batch may be filled up with others
 */
export function partialResult(training: TrainingGraph, program: LossParts, validRows: number): PartialResult {
  const { graph, lossOps } = training;
  let [lossSum, lossCount, correct] = [0, 0, 0];
  for (const id of lossOps) {
    for (const part of program.partsOf(id)) {
      const [losses, hits] = part.outputs.map(({ memory }) => validElements(part, floats(memory.host), validRows));
      lossSum += sum(losses!);
      if (hits !== undefined) correct += sum(hits);
      if (isCounted(training, graph.ops[id]!, part)) lossCount += countedElements(graph.ops[id]!, part, validRows);
    }
  }
  return { lossSum, lossCount, correct };
}

/** Of parts that hold partial sums of the same losses, the first counts them. */
function isCounted({ graph }: TrainingGraph, op: Op, { part }: ForwardProgram): boolean {
  return opDimensions(graph, op).every(({ axis }, i) => axis !== undefined || part.ranges[i]![0] === 0);
}

function countedElements({ attributes }: Op, program: ForwardProgram, validRows: number): number {
  const { ignoreIndex } = attributes;
  const targets = program.memory['input1']!.host;
  const elements = validElements(program, targets, validRows);
  if (typeof ignoreIndex !== 'number' || !(elements instanceof BigInt64Array)) return elements.length;
  const ignored = BigInt(ignoreIndex);
  return elements.reduce((count, target) => (target === ignored ? count : count + 1), 0);
}

/** The elements of the rows that count. */
function validElements<T extends { readonly length: number; subarray(start: number, end: number): T }>(
  { part }: ForwardProgram,
  memory: T,
  validRows: number,
): T {
  const [first, end] = part.output[0]!;
  const rows = Math.max(0, Math.min(end, validRows) - first);
  return memory.subarray(0, (memory.length / (end - first)) * rows);
}

function sum(values: Float32Array): number {
  return values.reduce((total, value) => total + value, 0);
}
