import { OpError } from '../ops/op.ts';
import { inputGradients } from '../graph/input-gradients.ts';
import { GraphBuilder } from './builder.ts';
import type { Attributes, Graph, Shape, Tensor } from '../graph/graph.ts';
import { isTrained } from '../graph/graph.ts';
import { elementCount } from '../onnx/indexing.ts';

export const LOSS_NAMES = ['crossEntropy', 'meanSquaredError', 'binaryCrossEntropy'] as const;

export type LossName = (typeof LOSS_NAMES)[number];

/** What a model is trained by where nobody says it: classes are told apart, and numbers met. */
export function usualLoss({ outputs, tensors }: Graph): LossName {
  const { shape = [] } = tensors[outputs[0]!] ?? {};
  return shape.length > 1 && shape.at(-1)! > 1 ? 'crossEntropy' : 'meanSquaredError';
}

/** Name of the graph input that carries what the model should have said; data sets use the same. */
export const TARGETS = 'targets';

/** What may be said of a loss beside its name; all only of crossEntropy. */
export interface LossOptions {
  /** Targets of this value do not count. */
  readonly ignoreIndex?: number;
  /** The share of a target's weight that is spread over all classes. */
  readonly labelSmoothing?: number;
  /** The axis of the model's result that the classes are along; the last where absent. */
  readonly classAxis?: number;
}

/**
 * A graph that ends in losses. The loss of a step is the mean over the elements of the first outputs of all loss ops that
 * count; where they have a second output, it is 1 for each element that the model has right.
 */
export interface TrainingGraph {
  /** Of one micro-batch. */
  readonly graph: Graph;
  /** Ids of the loss ops: one for each of the model's results. */
  readonly lossOps: readonly number[];
  /** Micro-batches whose gradients a step adds up before it updates the parameters once; 1 where the batch is taken whole. */
  readonly accumulationSteps: number;
}

/** Whether targets may have a value that does not count. */
export function someDoNotCount({ graph, lossOps }: TrainingGraph): boolean {
  return lossOps.some((op) => graph.ops[op]!.attributes['ignoreIndex'] !== undefined);
}

/**
 * Appends a loss to a model, and the graph input {@link TARGETS} that it reads. Several results of a model are consecutive
 * pieces along axis 1, as an unrolled sequence model gives them: each gets a loss op that reads its piece of the targets.
 * @param accumulationSteps micro-batches of a step: the loss is the mean over them all, so the gradients that the graph gives
 * are those of a whole step once they are added up
 * @throws {OpError} where the loss does not fit the model's results
 */
export function attachLoss(
  model: Graph,
  loss: LossName,
  options: LossOptions = {},
  accumulationSteps: number = 1,
): TrainingGraph {
  const builder = GraphBuilder.from(model);
  const { classAxis } = options;
  const results = model.outputs.map((id) => {
    const result = model.tensors[id]!;
    return classAxis === undefined ? result : withClassesLast(builder, model, result, classAxis);
  });
  const targetsShape = targetShapes(model, results, loss);
  const targets = builder.input(TARGETS, targetsShape, loss === 'crossEntropy' ? 'int64' : 'float32');
  const shared = { scale: 1 / (elementCount(targetsShape) * accumulationSteps), ...options };
  let start = 0;
  const losses = results.map(({ id, shape }) => {
    const attributes: Attributes = results.length === 1 ? shared : { ...shared, start };
    start += shape[1] ?? 0;
    return builder.op(loss, loss, [id, targets], attributes);
  });
  const graph = builder.build(model.name, losses);
  checkParameters(graph);
  return { graph, lossOps: graph.ops.slice(-losses.length).map(({ id }) => id), accumulationSteps };
}

/**
 * Of a model whose maker is not known to put the classes last: makes sure that the shapes of result and targets say where they are, or
 * somebody does. A result whose other axes are all alike goes with the same targets either way, and would train on the wrong axis in silence.
 * @throws {OpError} where nothing says it
 */
export function requireClassAxis(model: Graph, loss: LossName, { classAxis }: LossOptions = {}): void {
  if (loss !== 'crossEntropy' || classAxis !== undefined || model.outputs.length !== 1) return;
  const { shape } = model.tensors[model.outputs[0]!]!;
  if (shape.length < 3 || new Set(shape.slice(1)).size > 1) return;
  throw new OpError(
    `the result of model '${model.name}' has shape [${shape}], whose classes may be along axis 1, where PyTorch's loss has them for images ` +
      `and sequences, or along the last one: targets of both have shape [${shape.slice(0, -1)}]; say which by ` +
      `spec.training.loss.classAxis: 1, or ${shape.length - 1}`,
  );
}

/** @throws {OpError} where an op reads a parameter that is trained without passing a gradient on to it */
function checkParameters(graph: Graph): void {
  const gradients = inputGradients(graph);
  for (const op of graph.ops) {
    const index = op.inputs.findIndex((id, i) => isTrained(graph.tensors[id]!) && !gradients[op.id]![i]);
    if (index < 0) continue;
    const { name } = graph.tensors[op.inputs[index]!]!;
    throw new OpError(
      `op '${op.name}' (${op.kind}) reads the parameter '${name}' but its result has no gradient, as comparisons and whole numbers ` +
        'have none; expected parameters in ops that train them: let it read a number, or a buffer that nothing else reads, or name the ' +
        'parameter in spec.training.frozen',
    );
  }
}

/** The loss that was attached, as a TrainingJob names it. */
export function lossOf({ graph, lossOps }: TrainingGraph): LossOptions & { readonly name: LossName } {
  const { kind, attributes } = graph.ops[lossOps[0]!]!;
  const { ignoreIndex, labelSmoothing, classAxis } = attributes;
  return {
    name: LOSS_NAMES.find((name) => name === kind)!,
    ...(typeof ignoreIndex === 'number' ? { ignoreIndex } : {}),
    ...(typeof labelSmoothing === 'number' ? { labelSmoothing } : {}),
    ...(typeof classAxis === 'number' ? { classAxis } : {}),
  };
}

/**
 * A model's only result with the axis of its classes moved behind all others, where the loss looks for them.
 * @throws {OpError} where it has no such axis, or is one of several
 */
function withClassesLast(
  builder: GraphBuilder,
  { name, outputs }: Graph,
  { id, shape }: Tensor,
  classAxis: number,
): Pick<Tensor, 'id' | 'shape'> {
  if (outputs.length > 1 || classAxis >= shape.length) {
    const got = outputs.length > 1 ? `has ${outputs.length} results` : `has a result of shape [${shape}]`;
    throw new OpError(
      `model '${name}' ${got}; expected one result that has the loss's classAxis ${classAxis}, counted from 0: ` +
        'correct spec.training.loss.classAxis, or leave it out where the classes are last',
    );
  }
  const others = shape.flatMap((_, axis) => (axis === classAxis ? [] : [axis]));
  const perm = [...others, classAxis];
  if (classAxis === shape.length - 1) return { id, shape };
  return { id: builder.op('transpose', 'classesLast', [id], { perm }), shape: perm.map((axis) => shape[axis]!) };
}

/**
 * The shape of a sample's targets if the classes were along axis 1, as PyTorch's loss has them; undefined where the loss is another, or
 * says where they are.
 */
export function targetsOfClassesFirst({ ops, tensors }: Graph): Shape | undefined {
  const losses = ops.filter(({ kind }) => kind === 'crossEntropy');
  const [op] = losses;
  if (op === undefined || losses.length > 1 || op.attributes['classAxis'] !== undefined) return undefined;
  return tensors[op.inputs[0]!]!.shape.slice(2);
}

/** The shape of the targets of all results together. */
function targetShapes(model: Graph, results: readonly Pick<Tensor, 'shape'>[], loss: LossName): Shape {
  const shapes = results.map(({ shape }) => (loss === 'crossEntropy' ? shape.slice(0, -1) : shape));
  const [first, ...others] = shapes;
  if (first === undefined) throw new OpError(`model '${model.name}' has no results; a loss needs one`);
  if (others.length === 0) return first;
  const elsewhere = ({ shape }: Pick<Tensor, 'shape'>): string => String(shape.with(1, 0));
  if (shapes.some((shape) => shape.length < 2) || new Set(results.map(elsewhere)).size > 1) {
    const listed = results.map(({ shape }) => `[${shape}]`).join(', ');
    throw new OpError(
      `model '${model.name}' has ${results.length} results of shapes ${listed}; a loss needs one result, or pieces of a ` +
        'sequence that are equal but for axis 1: export a model that returns only what is to be trained',
    );
  }
  return first.with(
    1,
    shapes.reduce((sum, shape) => sum + shape[1]!, 0),
  );
}
