import type { OnnxDType, OnnxGraph, OnnxNode } from '../../../soap/onnx/model.ts';
import { intAttribute } from './attributes.ts';
import { elementCount } from '../../../soap/onnx/indexing.ts';

/** Ops whose result at a place depends on their operands at that place alone. */
const ELEMENTWISE: ReadonlySet<string> = new Set(
  'Abs Add Div Equal Erf Exp Greater HardSigmoid Less Log Mul Neg Pow Reciprocal Relu Sigmoid Sqrt Sub Tanh Where'.split(
    ' ',
  ),
);

/**
 * So many values at least have to stay inside of a group, each of which saves a way to memory and back: what saves fewer, such as the four
 * of a Gelu, which the library has as one node, is not faster. Source: measured, docs/performance/kernels.md.
 */
const MIN_INSIDE = 6;

/** Members are among so many nodes in a row: those of one op or two. */
const REACH = 48;

/** A value of a graph. */
export interface GraphValue {
  readonly dtype: OnnxDType;
  readonly shape: readonly number[];
}

/** What a value is to a group: all rows, one number of each row, or the same for all rows. */
export type Role = 'whole' | 'perRow' | 'shared';

/** Nodes that compute each row of matrices of one shape by itself, and that no other node has to run between. */
export interface RowGroup {
  /** Of whole values; the last axis is that of the rows. */
  readonly shape: readonly number[];
  readonly members: readonly OnnxNode[];
  /** Results that the graph gives or nodes outside read. */
  readonly leaving: readonly string[];
}

/** Types and shapes of all values of a graph that are known. */
export function knownValues(graph: OnnxGraph): Map<string, GraphValue> {
  const listed = [...graph.inputs, ...(graph.inner ?? []), ...graph.outputs];
  return new Map<string, GraphValue>([
    ...listed.map(({ name, dtype, shape }) => [name, { dtype, shape: shape.map(Number) }] as const),
    ...graph.initializers,
  ]);
}

/** The role of a value in a group of a shape; undefined where it has none. */
export function roleIn(shape: readonly number[], value: GraphValue | undefined): Role | undefined {
  if (value === undefined) return undefined;
  const [width, own] = [shape.at(-1)!, value.shape.join()];
  if (own === shape.join()) return 'whole';
  if (own === [...shape.slice(0, -1), 1].join()) return 'perRow';
  return own === '' || own === '1' || own === String(width) ? 'shared' : undefined;
}

/**
 * Finds groups among the nodes of a graph whose values have at least so many elements. No node outside of a group
 * both depends on it and is depended on by it, so that a group can run as one.
 */
export function findRowGroups(graph: OnnxGraph, minElements: number): RowGroup[] {
  const values = knownValues(graph);
  const taken = new Set<OnnxNode>();
  const groups: RowGroup[] = [];
  graph.nodes.forEach((node, index) => {
    const shape = values.get(node.outputs[0]!)?.shape;
    if (taken.has(node) || shape === undefined || shape.length < 2 || elementCount(shape) < minElements) return;
    const members = membersFrom(graph.nodes.slice(index, index + REACH), shape, { graph, values, taken });
    const leaving = leavingOf(graph, members);
    const whole = members.filter(({ outputs }) => roleIn(shape, values.get(outputs[0]!)) === 'whole');
    if (whole.filter(({ outputs }) => !leaving.includes(outputs[0]!)).length < MIN_INSIDE) return;
    for (const member of members) taken.add(member);
    groups.push({ shape, members, leaving });
  });
  return groups;
}

interface Surroundings {
  readonly graph: OnnxGraph;
  readonly values: ReadonlyMap<string, GraphValue>;
  /** Members of other groups. */
  readonly taken: ReadonlySet<OnnxNode>;
}

/** The first of the nodes with all later ones that can join it: those that share a value with one of them, which others may bring nearer. */
function membersFrom(nodes: readonly OnnxNode[], shape: readonly number[], surroundings: Surroundings): OnnxNode[] {
  const near = new Set(nodes[0]!.inputs);
  let [members, count]: [OnnxNode[], number] = [[], -1];
  while (members.length > count) {
    count = members.length;
    members = grown(nodes, shape, near, surroundings);
  }
  return members;
}

/** One way through the nodes. Adds what members read and write to what is near. */
function grown(
  nodes: readonly OnnxNode[],
  shape: readonly number[],
  near: Set<string>,
  surroundings: Surroundings,
): OnnxNode[] {
  const members: OnnxNode[] = [];
  // What nodes outside make of the group's results.
  const after = new Set<string>();
  for (const node of nodes) {
    const isAfter = node.inputs.some((input) => after.has(input));
    const isNear = node.inputs.some((input) => near.has(input));
    if (!isAfter && isNear && !surroundings.taken.has(node) && isByRow(node, shape, surroundings)) {
      members.push(node);
      const { values } = surroundings;
      for (const each of [...node.inputs, ...node.outputs]) {
        if (roleIn(shape, values.get(each)) !== 'shared') near.add(each);
      }
    } else if (isAfter || node.inputs.some((input) => members.some(({ outputs }) => outputs.includes(input)))) {
      for (const each of node.outputs) after.add(each);
    }
  }
  return members;
}

/** Whether a node computes rows of a shape each by itself. */
function isByRow(node: OnnxNode, shape: readonly number[], { graph, values }: Surroundings): boolean {
  const { opType, domain, inputs, outputs } = node;
  const last = shape.length - 1;
  const role = (name: string): Role | undefined => roleIn(shape, values.get(name));
  if (domain !== '' || outputs.length !== 1 || !['whole', 'perRow'].includes(role(outputs[0]!) ?? '')) return false;
  if (ELEMENTWISE.has(opType)) return inputs.every((input) => role(input) !== undefined);
  if (role(inputs[0]!) !== 'whole') return false;
  if (opType === 'Softmax') return [-1, last].includes(intAttribute(node, 'axis', -1));
  if (opType !== 'ReduceSum' || intAttribute(node, 'keepdims', 1) !== 1) return false;
  return [-1, last].map(String).includes(graph.initializers.get(inputs[1] ?? '')?.data.join() ?? '');
}

function leavingOf({ nodes, outputs }: OnnxGraph, members: readonly OnnxNode[]): string[] {
  const own = new Set(members);
  const read = new Set(nodes.filter((node) => !own.has(node)).flatMap(({ inputs }) => inputs));
  for (const { name } of outputs) read.add(name);
  return members.map(({ outputs: [y] }) => y!).filter((name) => read.has(name));
}
