import test from 'ava';
import fc from 'fast-check';
import { createOnnxRuntimeEngine } from '../../runtime/kernels/onnxruntime/engine.ts';
import type { ScanParts, ScanValue } from '../../runtime/kernels/onnxruntime/scan.ts';
import { withScans } from '../../runtime/kernels/onnxruntime/scan.ts';
import type { OnnxGraph, OnnxNode, OnnxValue } from '../../soap/onnx/model.ts';
import { filled, node, runGraph } from '../support/kernel-graphs.ts';

const [BLOCKS, ROWS, WIDTH] = [2, 4, 6];

function value(name: string): OnnxValue {
  return { name, dtype: 'float32', shape: [BLOCKS * ROWS, WIDTH] };
}

/** Nodes that compute each row by itself as a Scan, which hands on what they give. */
function scanOf(prefix: string, members: readonly OnnxNode[], reads: readonly string[]): ScanParts {
  const named = (name: string): string => `${prefix}${name}`;
  const piece = (name: string): ScanValue => ({ name, piece: named(name), dtype: 'float32', shape: [ROWS, WIDTH] });
  return {
    prefix,
    blocks: BLOCKS,
    members,
    before: [],
    constants: new Map(),
    reads: reads.map(piece),
    writes: members.map(({ outputs: [y] }) => piece(y!)),
    body: members.map((each) => ({ ...each, inputs: each.inputs.map(named), outputs: each.outputs.map(named) })),
  };
}

function graphOf(nodes: readonly OnnxNode[], results: readonly string[]): OnnxGraph {
  const isInner = (name: string): boolean => !results.includes(name);
  return {
    name: 'scans',
    opset: 17,
    inputs: [value('x')],
    outputs: results.map(value),
    initializers: new Map(),
    inner: nodes.flatMap(({ outputs }) => outputs.filter(isInner).map(value)),
    nodes,
  };
}

const FIRST = [node('Abs', ['x'], ['a']), node('Mul', ['a', 'x'], ['b'])];
const SECOND = [node('Add', ['a', 'b'], ['c']), node('Sub', ['c', 'a'], ['d'])];

/** What is done with a value of a Scan. */
const use = fc.record({ isResult: fc.boolean(), isRead: fc.boolean() });

test('whatever of the values of Scans is a result, is read by nodes amid their members, or both, keeps its bits', async (t) => {
  const engine = createOnnxRuntimeEngine({ threads: 1 });
  const x = filled([BLOCKS * ROWS, WIDTH]).data;
  await fc.assert(
    fc.asyncProperty(fc.tuple(use, use, use, use), fc.constantFrom('kept', 'sorted'), async (uses, order) => {
      const members = [...FIRST, ...SECOND];
      const readers = members.map(({ outputs: [y] }) => ({ ...node('Neg', [y!], [`minus ${y}`]), name: `minus ${y}` }));
      const nodes = members.flatMap((each, i) => (uses[i]!.isRead ? [each, readers[i]!] : [each]));
      const names = members.map(({ outputs: [y] }) => y!);
      const written = names.filter((_, i) => uses[i]!.isResult);
      const read = names.filter((_, i) => uses[i]!.isRead);
      const graph = graphOf(nodes, ['d', ...written.filter((name) => name !== 'd'), ...read.map((y) => `minus ${y}`)]);
      const scans = [scanOf('first_', FIRST, ['x']), scanOf('second_', SECOND, ['a', 'b'])];
      const blocked = withScans(graph, scans, order);
      t.is(blocked.nodes.filter(({ opType }) => opType === 'Scan').length, 2);
      for (const { name, shape } of blocked.outputs) {
        const isWritten = names.includes(name);
        t.deepEqual(shape, isWritten ? [BLOCKS, ROWS, WIDTH] : [BLOCKS * ROWS, WIDTH], `${name} is written in place`);
      }
      t.deepEqual(await runGraph(engine, blocked, { x }), await runGraph(engine, graph, { x }));
    }),
    { numRuns: 40, seed: 1 },
  );
  engine.close();
});

test('what reads a Scan amid its members stays where it is, or comes after it', (t) => {
  const nodes = [FIRST[0]!, node('Neg', ['a'], ['n']), FIRST[1]!, node('Add', ['n', 'b'], ['y'])];
  const [graph, scans] = [graphOf(nodes, ['a', 'y']), [scanOf('first_', FIRST, ['x'])]];
  const opTypes = (blocked: OnnxGraph): string => blocked.nodes.map(({ opType }) => opType).join(' ');
  t.is(opTypes(withScans(graph, scans)), 'Neg Reshape Scan Reshape Reshape Add');
  t.is(opTypes(withScans(graph, scans, 'sorted')), 'Reshape Scan Reshape Reshape Neg Add');
});

test('nodes that would wait for each other stay as they are', (t) => {
  const members = [FIRST[0]!, node('Add', ['n', 'a'], ['y'])];
  const graph = graphOf([members[0]!, node('Neg', ['a'], ['n']), members[1]!], ['y']);
  t.is(withScans(graph, [scanOf('first_', members, ['x', 'n'])]), graph);
});
