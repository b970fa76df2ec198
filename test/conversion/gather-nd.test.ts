import test from 'ava';
import { opDimensions } from '../../soap/ops/index.ts';
import { i64 } from '../support/kernel-graphs.ts';
import { constant, imported, node } from '../support/onnx-graphs.ts';

test('what each sample gives by a step of its own splits by samples', (t) => {
  const parts = (rows: readonly number[]): string[] => {
    const { graph } = imported({
      inputs: { x: [2, 3, 5], step: [2, 1] },
      integers: ['step'],
      nodes: [
        constant('rows', i64([2, 1], rows)),
        node('Concat', ['rows', 'step'], 'at', { axis: -1 }),
        node('GatherND', ['x', 'at'], 'y'),
      ],
    });
    const gather = graph.ops.find(({ kind }) => kind === 'gatherElements')!;
    return opDimensions(graph, gather).map(({ name }) => name);
  };
  t.deepEqual(parts([0, 1]), ['sample', 'channel']);
  t.deepEqual(parts([1, 0]), ['channel'], 'other samples are needed');
});
