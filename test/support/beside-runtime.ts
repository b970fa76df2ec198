import { checkStrategies } from '../../runtime/check/check-strategies.ts';
import { openDataset } from '../../runtime/data/open-dataset.ts';
import type { KernelEngine } from '../../runtime/kernels/kernels.ts';
import { attachLoss } from '../../soap/training/loss.ts';
import { filled, runKernel } from './kernel-graphs.ts';
import { distance } from './op-checks.ts';
import type { GraphParts } from './onnx-graphs.ts';
import { graphOf, imported, node } from './onnx-graphs.ts';
import { devices } from './train-in-memory.ts';
import { runWholeGraph } from './whole-graph.ts';
import { elementCount } from '../../soap/onnx/indexing.ts';

/** Elements by input name. */
type Values = Readonly<Record<string, ArrayLike<number>>>;

/** Elements of each input that differences are taken of, and the step: float32 keeps some four digits of such a difference. */
const [SAMPLES, STEP] = [12, 0.02];

/** Random strategies that a model is split by. */
const STRATEGIES = 4;

/** A graph, what it does in words, and values of inputs that are not to be just any. */
export interface NodeCase {
  readonly does: string;
  readonly parts: GraphParts;
  readonly values?: Values;
  /** The graph as ONNX Runtime takes it, where that is stricter. */
  readonly theirs?: GraphParts;
  /** Whether results jump between whole numbers: no gradient passes then, and no difference says so. */
  readonly jumps?: boolean;
}

/** How far the nodes of a graph are from what they are written as: relative, at most 1e-6 and 1e-3 where both are right. */
export interface Distances {
  /** Of the result, from what ONNX Runtime makes of the nodes as they are. */
  readonly result: number;
  /** By input of floats, from differences of what ONNX Runtime makes. */
  readonly gradients: Readonly<Record<string, number>>;
}

/** Values for the inputs of a case: floats without pattern, and whole numbers 0, 1, 0 ..., unless it has its own. */
function valuesOf({ parts: { inputs = {}, integers = [] }, values = {} }: NodeCase): Values {
  return Object.fromEntries(
    Object.entries(inputs).map(([name, shape], i) => [
      name,
      values[name] ??
        (integers.includes(name)
          ? Array.from({ length: elementCount(shape) }, (_, at) => at % 2)
          : Array.from(filled(shape, i + 3).data, Number)),
    ]),
  );
}

/**
 * Holds an imported graph, and its gradients, against ONNX Runtime.
 * @param engine what the imported ops compute with
 * @param runtime ONNX Runtime, which computes the nodes themselves
 */
export async function besideRuntime(
  nodeCase: NodeCase,
  engine: KernelEngine,
  runtime: KernelEngine,
): Promise<Distances> {
  const { parts, theirs = parts, jumps = false } = nodeCase;
  const [model, values] = [imported(parts), valuesOf(nodeCase)];
  const { shape } = model.graph.tensors[model.graph.outputs[0]!]!;
  const graph = { ...graphOf(theirs), outputs: [{ name: 'y', dtype: 'float32', shape } as const] };
  const kernel = runtime.compile(graph);
  const nodesOf = async (inputs: Values): Promise<number[]> =>
    Array.from((await runKernel(runtime, kernel, graph, inputs))['y']!, Number);
  const { tensors, backward } = await runWholeGraph(model, values, engine);
  const dy = Array.from(filled(shape, 11).data, Number);
  const slopes = await backward(dy);
  const objective = async (inputs: Values): Promise<number> =>
    (await nodesOf(inputs)).reduce((sum, y, i) => sum + y * dy[i]!, 0);
  const gradients: Record<string, number> = {};
  for (const id of model.graph.inputs) {
    const { name, dtype } = model.graph.tensors[id]!;
    if (dtype !== 'float32') continue;
    const gradient = Array.from(slopes[id]!);
    gradients[name] = jumps
      ? Math.max(...gradient.map(Math.abs))
      : await slopeDistance(gradient, values[name]!, (moved) => objective({ ...values, [name]: moved }));
  }
  const found = Array.from(tensors[model.graph.outputs[0]!]!, Number);
  const result = distance(found, await nodesOf(values));
  kernel.release();
  return { result, gradients };
}

async function slopeDistance(
  gradient: readonly number[],
  values: ArrayLike<number>,
  objective: (moved: readonly number[]) => Promise<number>,
): Promise<number> {
  const at = Array.from({ length: Math.min(SAMPLES, gradient.length) }, (_, i) => (i * 7) % gradient.length);
  const moved = (element: number, by: number): Promise<number> =>
    objective(Array.from(values, (value, i) => (i === element ? value + by : value)));
  const slopes: number[] = [];
  for (const element of at) {
    slopes.push(((await moved(element, STEP)) - (await moved(element, -STEP))) / (2 * STEP));
  }
  return distance(
    at.map((element) => gradient[element]!),
    slopes,
    Math.max(1e-3, ...gradient.map(Math.abs)),
  );
}

/** The same graph behind weights that every input of floats is multiplied with, so that there is something to train. */
function behindWeights(parts: GraphParts): GraphParts {
  const { inputs = {}, integers = [], weights = {}, nodes } = parts;
  const floats = Object.keys(inputs).filter((name) => !integers.includes(name));
  const fed = (name: string): string => (floats.includes(name) ? `${name}:fed` : name);
  return {
    ...parts,
    inputs: Object.fromEntries(Object.entries(inputs).map(([name, shape]) => [fed(name), shape])),
    weights: { ...weights, ...Object.fromEntries(floats.map((name) => [`${name}Weight`, inputs[name]!.slice(1)])) },
    nodes: [...floats.map((name) => node('Mul', [fed(name), `${name}Weight`], name)), ...nodes],
  };
}

/** The same graph before a weight that its result is multiplied with: where no gradient passes. */
function beforeWeight(parts: GraphParts, shape: readonly number[]): GraphParts {
  const nodes = parts.nodes.map((each) =>
    each.outputs.includes('y') ? { ...each, name: 'result', outputs: ['result'] } : each,
  );
  const weights = { ...parts.weights, weight: shape.slice(1) };
  return { ...parts, weights, nodes: [...nodes, node('Mul', ['result', 'weight'], 'y')] };
}

/** Whether the graph of a case has samples first in its result, as a model that is trained has. */
export function isModel({ parts }: NodeCase): boolean {
  return resultShape(parts)[0] === samplesOf(parts);
}

/** What of a graph, with weights, is not the same under random strategies as on one device. */
export async function splitFailures({ parts, jumps = false }: NodeCase, engine: KernelEngine): Promise<string[]> {
  const model = imported(jumps ? beforeWeight(parts, resultShape(parts)) : behindWeights(parts));
  const training = attachLoss(model.graph, 'meanSquaredError');
  const batch = samplesOf(parts);
  const dataset = await openDataset({ synthetic: { samples: batch }, shuffle: false }, '.', training.graph);
  const subject = { training, weights: model.weights, dataset, engine, cluster: devices(4), batch };
  const { failures } = await checkStrategies({ ...subject, strategies: STRATEGIES, seed: 1 });
  return failures.map(({ message }) => message);
}

function resultShape(parts: GraphParts): readonly number[] {
  const { tensors, outputs } = imported(parts).graph;
  return tensors[outputs[0]!]!.shape;
}

function samplesOf({ inputs = {} }: GraphParts): number {
  return Object.values(inputs)[0]![0]!;
}
