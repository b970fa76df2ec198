import type { TrainingGraph } from '../../soap/graph/loss.ts';
import { floats } from './assembly.ts';
import type { DeviceProgram } from './device-program.ts';

/** What one device saw of a batch: only the rows that its loss parts hold. */
export interface PartialResult {
  /** Sum of the loss elements. */
  readonly lossSum: number;
  readonly lossCount: number;
  /** Rows whose largest logit is the target; 0 where the loss has no classes. */
  readonly correct: number;
}

/**
 * Reads the loss parts of a device after a pass.
 * @param validRows rows of the batch that count; a last batch may be filled up with others
 */
export function partialResult(training: TrainingGraph, program: DeviceProgram, validRows: number): PartialResult {
  let [lossSum, lossCount, correct] = [0, 0, 0];
  for (const { part, outputs, memory } of program.partsOf(training.lossOp)) {
    const [firstRow, endRow] = part.output[0]!;
    const rows = Math.max(0, Math.min(endRow, validRows) - firstRow);
    const losses = floats(outputs[0]!.memory);
    const perRow = losses.length / (endRow - firstRow);
    for (let i = 0; i < rows * perRow; i++) lossSum += losses[i]!;
    lossCount += rows * perRow;
    const targets = memory['input1'];
    if (targets instanceof BigInt64Array) correct += countCorrect(floats(memory['input0']!), targets, rows);
  }
  return { lossSum, lossCount, correct };
}

/** logits [N, classes], targets [N]; the first largest logit decides, as argmax does. */
function countCorrect(logits: Float32Array, targets: BigInt64Array, rows: number): number {
  const classes = logits.length / targets.length;
  let correct = 0;
  for (let row = 0; row < rows; row++) {
    let best = 0;
    for (let c = 1; c < classes; c++) if (logits[row * classes + c]! > logits[row * classes + best]!) best = c;
    if (BigInt(best) === targets[row]) correct += 1;
  }
  return correct;
}
