import { GraphBuilder } from '../../soap/training/builder.ts';
import type { TrainingGraph } from '../../soap/training/loss.ts';
import { attachLoss } from '../../soap/training/loss.ts';

/**
 * Two layers of one shape, [N, T, W] to [N, T, W], the first of what is computed from the data alone, so that only the second hands
 * a gradient on; and a layer of the last step, so that nothing reads parts of the others.
 */
export function lastStepModel(batch: number): TrainingGraph {
  const builder = new GraphBuilder();
  const [steps, width] = [4, 6];
  const parameters = [0, 1, 2].map((i) => builder.parameter(`w${i}`, [width, width]));
  const layer = (name: string, x: number, i: number): number =>
    builder.op('linear', name, [x, parameters[i]!], { transposed: true });
  const data = builder.op('abs', 'data', [builder.input('x', [batch, steps, width])]);
  const second = layer('second', layer('first', data, 0), 1);
  const last = builder.op('slice', 'last', [second], { starts: [steps - 1], ends: [steps], axes: [1], steps: [1] });
  return attachLoss(builder.build('last', [layer('result', last, 2)]), 'crossEntropy');
}
