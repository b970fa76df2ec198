import type { OnnxGraph, OnnxNode, OnnxTensor } from '../../../soap/onnx/model.ts';
import { intAttribute } from './attributes.ts';
import type { ScanParts, ScanValue } from './scan.ts';
import { blocksOf, plainNode, reshapeNode, int64Vector, withScans } from './scan.ts';
import type { Surroundings } from './surroundings.ts';
import { surroundingsOf } from './surroundings.ts';

/**
 * Rewrites the sums of products with what a mean was taken off, as normalizations have them of images [N, C, P] in both passes, into
 * a Scan over blocks of rows, so that the difference stays in the caches. In the backward pass the gradient of the Relu
 * after the normalization joins in, the sum of two gradients that it reads, and the sum of the gradient. Every element is computed by the
 * same operations as before. Only for one thread: the library leaves nodes on so few elements to one of several.
 */
export function useMomentBlocks(graph: OnnxGraph, threads: number): OnnxGraph {
  if (threads > 1) return graph;
  const surroundings = surroundingsOf(graph);
  // A Relu may have two normalizations before it; its gradient goes into the Scan of one of them.
  const taken = new Set<OnnxNode>();
  const sums = graph.nodes.flatMap((node): CenteredSum[] => {
    const found = centeredSum(node, surroundings, taken);
    if (found === undefined) return [];
    for (const member of membersOf(found)) taken.add(member);
    return [found];
  });
  return withScans(graph, sums.map(scanOf));
}

/** A sum of products [N, C, 1, 1] with the nodes that go into its Scan. */
interface CenteredSum {
  readonly product: OnnxNode;
  /** x less its mean. */
  readonly difference: OnnxNode;
  /** Reshapes, and Identities, that the Scan has no need of. */
  readonly between: readonly OnnxNode[];
  /** The gradient [N, C, P] that x is multiplied by; undefined where x is, by itself. */
  readonly gradient: Gradient | undefined;
  readonly samples: number;
  readonly channels: number;
  /** Elements of a row. */
  readonly width: number;
  readonly blocks: number;
}

interface Gradient {
  readonly name: string;
  /** The gradient of a Relu that gives it. */
  readonly relu: { readonly times: OnnxNode; readonly slope: OnnxNode; readonly sum: OnnxNode | undefined } | undefined;
  /** Its sum over places. */
  readonly total: OnnxNode | undefined;
}

function centeredSum(
  product: OnnxNode,
  surroundings: Surroundings,
  taken: ReadonlySet<OnnxNode>,
): CenteredSum | undefined {
  const { values, givers, readers, onlyReaders } = surroundings;
  if (product.opType !== 'FusedMatMul' || intAttribute(product, 'transB', 0) !== 1) return undefined;
  const [first, second] = product.inputs.map((name) => givers.get(name));
  const difference = givers.get(second?.inputs[0] ?? '');
  const [samples, channels, width, ...others] = values.get(difference?.outputs[0] ?? '')?.shape ?? [];
  if (first?.opType !== 'Reshape' || second?.opType !== 'Reshape' || difference?.opType !== 'Sub') return undefined;
  if (width === undefined || others.length > 0) return undefined;
  const rows = `${samples},${channels},1,${width}`;
  if (!product.inputs.every((name) => values.get(name)?.shape.join() === rows)) return undefined;
  if (onlyReaders.get(second.outputs[0]!) !== product) return undefined;
  const [x, mean] = difference.inputs.map((name) => values.get(name)?.shape.join());
  if (x !== `${samples},${channels},${width}` || mean !== `1,${channels},1`) return undefined;
  const blocks = blocksOf(samples! * channels!, width);
  if (blocks === undefined) return undefined;
  const common = { product, difference, samples: samples!, channels: channels!, width, blocks };
  const reshapes = [...new Set([first, second])];
  if (first.inputs[0] === second.inputs[0]) {
    const isOwn = readers.get(difference.outputs[0]!)!.length === reshapes.length;
    return isOwn ? { ...common, between: reshapes, gradient: undefined } : undefined;
  }
  if (onlyReaders.get(difference.outputs[0]!) !== second) return undefined;
  const between = reshapes.filter(({ outputs: [y] }) => onlyReaders.get(y!) === product);
  return { ...common, between, gradient: gradientOf(first.inputs[0]!, surroundings, taken) };
}

function gradientOf(name: string, surroundings: Surroundings, taken: ReadonlySet<OnnxNode>): Gradient {
  const { values, readers, givers, onlyReaders } = surroundings;
  const total = readers.get(name)?.find((node) => !taken.has(node) && isSumOfRows(node, surroundings));
  const source = sourceOf(name, givers);
  const shape = values.get(source)?.shape.join();
  const sameShape = (each: string | undefined): boolean => values.get(each ?? '')?.shape.join() === shape;
  const times = givers.get(source);
  const slope = givers.get(times?.inputs[1] ?? '');
  const without: Gradient = { name, relu: undefined, total };
  if (times?.opType !== 'Mul' || slope?.opType !== 'HardSigmoid' || taken.has(times)) return without;
  if (onlyReaders.get(slope.outputs[0]!) !== times || ![times, slope].every(({ inputs: [x] }) => sameShape(x)))
    return without;
  const before = givers.get(times.inputs[0]!);
  const isSum = before?.opType === 'Add' && before.inputs.every(sameShape);
  const sum = isSum && onlyReaders.get(times.inputs[0]!) === times ? before : undefined;
  return { name: source, relu: { times, slope, sum }, total };
}

/** What a value comes from by nodes that leave its elements as they are. */
function sourceOf(name: string, givers: Surroundings['givers']): string {
  const giver = givers.get(name);
  return giver?.opType === 'Reshape' || giver?.opType === 'Identity' ? sourceOf(giver.inputs[0]!, givers) : name;
}

function isSumOfRows({ opType, inputs: [x = '', axes = ''] }: OnnxNode, { values, constants }: Surroundings): boolean {
  return opType === 'ReduceSum' && values.get(x)?.shape.length === 3 && constants.get(axes)?.data.join() === '2';
}

function membersOf({ product, difference, between, gradient }: CenteredSum): OnnxNode[] {
  const { relu, total } = gradient ?? {};
  return [relu?.sum, relu?.slope, relu?.times, difference, ...between, total, product].filter(
    (node) => node !== undefined,
  );
}

function scanOf(found: CenteredSum): ScanParts {
  const { product, difference, gradient, samples, channels, width, blocks } = found;
  const prefix = `${product.name}_rows_`;
  const rows = (samples * channels) / blocks;
  const piece = (name: string, short: string, shape: readonly number[] = [rows, width]): ScanValue => {
    return { name, piece: `${prefix}${short}`, dtype: 'float32', shape };
  };
  const [x = '', mean = ''] = difference.inputs;
  const { relu, total } = gradient ?? {};
  const summands = relu?.sum?.inputs ?? (relu === undefined ? [gradient?.name ?? ''] : [relu.times.inputs[0]!]);
  const reads = [
    piece(x, 'x'),
    piece(`${prefix}means`, 'mean', [rows, 1]),
    ...(gradient === undefined ? [] : summands.map((name, i) => piece(name, `dy${i}`))),
    ...(relu === undefined ? [] : [piece(relu.slope.inputs[0]!, 'y')]),
  ];
  const writes = [
    piece(product.outputs[0]!, 'product', [rows, 1, 1]),
    ...(total === undefined ? [] : [piece(total.outputs[0]!, 'total', [rows, 1])]),
    ...(relu === undefined ? [] : [piece(relu.times.outputs[0]!, 'gradient')]),
  ];
  const constants = new Map<string, OnnxTensor>([
    [`${prefix}repeated`, int64Vector([samples, channels, 1])],
    [`${prefix}matrices`, int64Vector([rows, 1, width])],
    [`${prefix}last`, int64Vector([1])],
  ]);
  const repeat = plainNode('Expand', [mean, `${prefix}repeated`], `${prefix}means`);
  const body = bodyNodes(found, prefix);
  return { prefix, blocks, members: membersOf(found), before: [repeat], constants, reads, writes, body };
}

/** The nodes as they compute a block of rows. */
function bodyNodes({ product, gradient }: CenteredSum, prefix: string): OnnxNode[] {
  const piece = (short: string): string => `${prefix}${short}`;
  const [dy, difference] = [piece('dy0'), piece('difference')];
  const matrices = (name: string): string => `${name}_matrices`;
  const asMatrices = (name: string): OnnxNode => reshapeNode(name, `${prefix}matrices`, matrices(name));
  const sub = plainNode('Sub', [piece('x'), piece('mean')], difference);
  const times = (first: string): OnnxNode => {
    return { ...product, name: piece('times'), inputs: [first, difference].map(matrices), outputs: [piece('product')] };
  };
  if (gradient === undefined) return [sub, asMatrices(difference), times(difference)];
  const { relu, total } = gradient;
  const name = relu === undefined ? dy : piece('gradient');
  const summed = relu?.sum === undefined ? dy : piece('sum');
  return [
    ...(relu?.sum === undefined ? [] : [plainNode('Add', [dy, piece('dy1')], summed)]),
    ...(relu === undefined
      ? []
      : [
          { ...relu.slope, name: piece('slope_node'), inputs: [piece('y')], outputs: [piece('slope')] },
          plainNode('Mul', [summed, piece('slope')], name),
        ]),
    ...(total === undefined ? [] : [plainNode('ReduceSum', [name, piece('last')], piece('total'))]),
    sub,
    asMatrices(name),
    asMatrices(difference),
    times(name),
  ];
}
