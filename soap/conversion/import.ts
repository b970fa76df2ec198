import type { OnnxGraph, OnnxNode, OnnxTensor, OnnxValue } from '../onnx/model.ts';
import { droppedShare } from '../ops/dropout.ts';
import { OP_DEFINITIONS, opDefinition } from '../ops/index.ts';
import type { ImportContext, OpDefinition } from '../ops/op.ts';
import { OpError } from '../ops/op.ts';
import { FileError } from '../schema/check.ts';
import { foldNode, isFoldable } from './fold.ts';
import type { DType, Model, Moments, Shape } from '../graph/graph.ts';
import { ImportProblems } from './import-problems.ts';
import { KnownValues } from './known-values.ts';
import { isLowered, LOWERED_TYPES, lowerNode } from './lower.ts';
import { elementOfSplit } from './lowering/sequence.ts';
import { RecurrentImporter } from './recurrent/importer.ts';
import { RECURRENCES } from './recurrent/node.ts';
import { fuse } from './rewrite/fuse.ts';

const definitions = new Map(
  OP_DEFINITIONS.flatMap((definition) => definition.onnxTypes.map((type) => [type, definition])),
);

/** Nodes that pass their first input on, or may. */
const TRANSPARENT = new Set(['Identity', 'Dropout']);

/** Nodes that make random numbers. */
const RANDOM = new Set([
  'Bernoulli',
  'Multinomial',
  'RandomNormal',
  'RandomNormalLike',
  'RandomUniform',
  'RandomUniformLike',
]);

/** The position of a Dropout's mask among its results. */
const MASK_OUTPUT = 1;

/** Elements that nodes without weights of their own may make in all, so that a small file cannot take all memory: 1 GiB. */
const MAX_FOLDED_ELEMENTS = 2 ** 28;

/** Steps of a recurrent layer that make one op, unless said. */
const UNROLL_STEPS = 8;

export interface ImportOptions {
  /** Samples per step; the file's own batch, or a symbolic one, is replaced. */
  readonly batch: number;
  /** What messages call the file. */
  readonly source?: string;
  /** Steps of a recurrent layer that make one op; the last op of a layer may have fewer. At least 1, 8 where left out. */
  readonly unrollSteps?: number | undefined;
}

/**
 * Makes a model of an ONNX graph. Arithmetic on shapes is folded, initializers become parameters with their values as initial
 * weights (an Identity of one is a parameter of its own: so PyTorch's exporter writes those that are equal at first), and
 * nodes that are one op together are fused.
 * @throws {FileError} with every node that cannot be imported
 */
export function importOnnx(onnx: OnnxGraph, options: ImportOptions): Model {
  return fuse(importUnfused(onnx, options));
}

/** As {@link importOnnx}, but every op computes what a node of the file does. @throws {FileError} as above */
export function importUnfused(onnx: OnnxGraph, options: ImportOptions): Model {
  const batch = fileBatchOf(onnx);
  // Read with its own batch first, a file tells where samples are in shapes that it has as numbers.
  const shapes =
    batch === undefined || batch === options.batch ? undefined : new Importer(onnx, { ...options, batch }).fileShapes();
  return new Importer(onnx, options, shapes).run();
}

/** The shapes of a file's values by their names, as far as they are computed from the inputs. @throws {FileError} as above */
export function importedShapes(onnx: OnnxGraph, options: ImportOptions): ReadonlyMap<string, Shape> {
  const importer = new Importer(onnx, options);
  importer.run();
  return importer.shapes();
}

/** The batch a file was exported with; undefined where it is symbolic. */
function fileBatchOf({ inputs }: OnnxGraph): number | undefined {
  const extent = inputs[0]?.shape[0];
  return typeof extent === 'number' ? extent : undefined;
}

class Importer {
  readonly #onnx: OnnxGraph;
  readonly #source: string;
  readonly #batch: number;
  readonly #fileBatch: number | undefined;
  /** Shapes of values with the file's batch, where that is not the job's. */
  readonly #fileShapes: ReadonlyMap<string, Shape> | undefined;
  readonly #known: KnownValues;
  /** Of batch normalizations, by the id of their result. */
  readonly #moments = new Map<number, Moments>();
  /** Nodes that make a sequence of tensors, by its name. */
  readonly #sequences = new Map<string, OnnxNode>();
  /** By the name of a value, the node that makes it. */
  readonly #makers = new Map<string, OnnxNode>();
  /** Names of what nodes read, and of the file's results. */
  readonly #read: ReadonlySet<string>;
  readonly #problems = new ImportProblems();
  /** Undefined where the file has no recurrent layers. */
  readonly #recurrent: RecurrentImporter | undefined;
  #foldedElements = 0;

  constructor(
    onnx: OnnxGraph,
    { batch, source = 'the ONNX file', unrollSteps = UNROLL_STEPS }: ImportOptions,
    fileShapes?: ReadonlyMap<string, Shape>,
  ) {
    this.#onnx = onnx;
    this.#batch = batch;
    this.#source = source;
    this.#read = new Set([...onnx.nodes.flatMap(({ inputs }) => inputs), ...onnx.outputs.map(({ name }) => name)]);
    this.#known = new KnownValues(onnx);
    this.#fileBatch = fileBatchOf(onnx);
    this.#fileShapes = fileShapes;
    const isRecurrent = onnx.nodes.some(({ domain, opType }) => domain === '' && RECURRENCES.has(opType));
    const { builder, constants, trained, values, weights } = this.#known;
    const importNode = (node: OnnxNode): void => this.#plainNode(node);
    const host = { builder, constants, trained, values, weights, unrollSteps, importNode };
    this.#recurrent = isRecurrent ? new RecurrentImporter(host) : undefined;
  }

  /** Imports what can be, whatever is wrong with the rest. Returns the shapes of values by their ONNX names. */
  fileShapes(): ReadonlyMap<string, Shape> {
    this.#importAll();
    return this.shapes();
  }

  /** Shapes of values that are imported, by their ONNX names. */
  shapes(): ReadonlyMap<string, Shape> {
    return new Map([...this.#known.values].map(([name, id]) => [name, this.#known.builder.shape(id)]));
  }

  run(): Model {
    this.#importAll();
    const outputs = this.#onnx.outputs.map(({ name }) => this.#result(name));
    if (this.#problems.list.length === 0 && outputs.includes(undefined)) {
      this.#problems.add('outputs', 'are constants; expected results computed from the inputs');
    }
    if (this.#problems.list.length > 0) throw new FileError(this.#source, this.#problems.list);
    const graph = this.#known.builder.build(
      this.#onnx.name,
      outputs.filter((id) => id !== undefined),
    );
    const named = graph.ops.flatMap(({ name, outputs }) => {
      const moments = this.#moments.get(outputs[0]!);
      return moments === undefined ? [] : [[name, moments] as const];
    });
    return { graph, weights: this.#known.weights, ...(named.length === 0 ? {} : { moments: new Map(named) }) };
  }

  #importAll(): void {
    for (const input of this.#onnx.inputs) this.#input(input);
    for (const node of this.#onnx.nodes) this.#node(node);
  }

  #input({ name, dtype, shape }: OnnxValue): void {
    const symbolic = shape.slice(1).filter((extent) => typeof extent === 'string');
    if (symbolic.length > 0 || shape.length === 0) {
      const isLater = typeof shape[0] === 'number' && symbolic.length === 1;
      const cure = isLater
        ? 'export a model that takes samples first, as recurrent layers and attention do with batch_first=True'
        : 'export with static shapes';
      this.#problems.input(name, `has shape [${shape}]; expected samples first and numbers after: ${cure}`);
      return;
    }
    if (dtype !== 'float32' && dtype !== 'int64' && dtype !== 'int32') {
      const cure = dtype === 'bool' ? ': let the model take int64 and compare it itself, as mask != 0 does' : '';
      this.#problems.input(name, `has element type ${dtype}; expected float32, int64 or int32${cure}`);
      return;
    }
    // Whole numbers are int64 here, as data sets have them.
    const type = dtype === 'int32' ? 'int64' : dtype;
    this.#known.values.set(name, this.#known.builder.input(name, [this.#batch, ...shape.slice(1).map(Number)], type));
  }

  /** The tensor id of a result of the file. */
  #result(name: string): number | undefined {
    try {
      this.#recurrent?.force(name);
    } catch (error) {
      if (!(error instanceof OpError)) throw error;
      this.#problems.add(`output '${name}'`, error.message);
    }
    return this.#known.values.get(name);
  }

  #node(node: OnnxNode): void {
    try {
      if (this.#recurrent?.takes(node) === true) return;
      // The shape of a value is known without it.
      if (node.opType !== 'Shape') for (const input of node.inputs) this.#recurrent?.force(input);
    } catch (error) {
      if (!(error instanceof OpError)) throw error;
      this.#problems.node(node, error.message);
      return;
    }
    this.#plainNode(node);
  }

  #plainNode(given: OnnxNode): void {
    const split = this.#sequences.get(given.inputs[0] ?? '');
    const node = given.opType === 'SequenceAt' && split !== undefined ? elementOfSplit(split, given) : given;
    const [output = ''] = node.outputs;
    for (const name of node.outputs) this.#makers.set(name, node);
    if (node.domain === '' && node.opType === 'SplitToSequence') {
      this.#sequences.set(output, node);
      return;
    }
    const input = this.#known.values.get(node.inputs[0] ?? '');
    if (input !== undefined && this.#isTransparent(node)) {
      this.#known.values.set(output, input);
      return;
    }
    if (this.#folds(node) || this.#lowers(node)) return;
    const definition = node.domain === '' ? definitions.get(node.opType) : undefined;
    const missing = node.inputs.filter((name) => name !== '' && !this.#known.has(name));
    if (missing.length > 0 && (definition !== undefined || isUnderstood(node))) this.#problems.starved(node, missing);
    else if (definition === undefined) this.#unsupported(node);
    else this.#op(node, definition);
  }

  /** Evaluates a node of constants that are not trained; an Identity of a trained one is another that is. */
  #folds(node: OnnxNode): boolean {
    const [output = ''] = node.outputs;
    const alias = node.opType === 'Identity' && this.#known.trained.has(node.inputs[0] ?? '');
    const constant = (input: number): OnnxTensor | undefined => {
      const name = node.inputs[input] ?? '';
      return this.#known.trained.has(name) && !alias ? undefined : this.#known.constants.get(name);
    };
    const folded = foldNode(node, constant, (input) => this.#shapeOf(node.inputs[input] ?? ''));
    if (folded === undefined) return false;
    if (folded !== constant(0)) this.#foldedElements += folded.data.length;
    if (this.#foldedElements > MAX_FOLDED_ELEMENTS)
      this.#problems.node(node, 'makes constants of more than 1 GiB in all');
    else this.#known.constants.set(output, folded);
    if (alias) this.#known.trained.add(output);
    else if (node.inputs.some((name) => this.#known.buffers.has(name))) this.#known.buffers.add(output);
    return true;
  }

  /** Imports the nodes that a node is written as, if it is. */
  #lowers(node: OnnxNode): boolean {
    if (!node.inputs.every((name) => name === '' || this.#known.has(name))) return false;
    try {
      const nodes = lowerNode(node, this.#context(node));
      for (const each of nodes ?? []) this.#node(each);
      return nodes !== undefined;
    } catch (error) {
      if (!(error instanceof OpError)) throw error;
      this.#problems.node(node, error.message);
      return true;
    }
  }

  /** An Identity, or a Dropout that drops nothing; whatever is wrong with one is for the op to say. */
  #isTransparent(node: OnnxNode): boolean {
    if (node.domain !== '' || !TRANSPARENT.has(node.opType)) return false;
    const context = this.#context(node);
    if (node.opType === 'Identity') return true;
    try {
      return !context.isRead(MASK_OUTPUT) && droppedShare(node, context) === 0;
    } catch (error) {
      if (!(error instanceof OpError)) throw error;
      return false;
    }
  }

  #op(node: OnnxNode, definition: OpDefinition): void {
    try {
      const { kind = definition.kind, attributes, inputs } = definition.fromOnnx(node, this.#context(node));
      const target = opDefinition(kind);
      const operands = inputs.map((input, i) => this.#known.operand(node.inputs[input]!, target, i));
      const ids = operands.map((id, i) => (this.#isTaken(id, target, i) ? id : this.#cast(node, id, 'float32')));
      const result = this.#known.builder.op(kind, node.name, ids, attributes);
      const first = ids.every((id, i) => id === operands[i]) ? result : this.#cast(node, result, 'int64');
      if (kind === 'batchNorm') this.#keepMoments(node, first);
      this.#known.builder.outputsOf(first).forEach((id, i) => {
        const name = node.outputs[i] ?? '';
        if (name !== '') this.#known.values.set(name, id);
      });
    } catch (error) {
      if (!(error instanceof OpError)) throw error;
      this.#problems.node(node, error.message);
    }
  }

  /** Whether an op can read a value as it is; whole numbers are cast for others, exactly up to 2^24, and what they make is cast back. */
  #isTaken(id: number, { integerInputs = [] }: OpDefinition, input: number): boolean {
    return this.#known.builder.dtype(id) === 'float32' || integerInputs === 'all' || integerInputs.includes(input);
  }

  #cast({ name }: OnnxNode, id: number, to: DType): number {
    return this.#known.builder.op('cast', `${name}:${to}`, [id], { to });
  }

  /** The running moments of a batch normalization, its inputs 3 and 4. @throws {OpError} unless they are a number a channel */
  #keepMoments({ inputs, opType }: OnnxNode, result: number): void {
    const [mean, variance] = [3, 4].map((input) => this.#known.constants.get(inputs[input] ?? '')?.data);
    if (!(mean instanceof Float32Array) || !(variance instanceof Float32Array)) return;
    const channels = this.#known.builder.shape(result)[1]!;
    if (mean.length !== channels || variance.length !== channels) {
      throw new OpError(
        `${opType} has ${mean.length} means and ${variance.length} variances; expected ${channels} of each`,
      );
    }
    this.#moments.set(result, { mean, variance });
  }

  #context({ inputs, outputs }: OnnxNode): ImportContext {
    const nameOf = (input: number): string => inputs[input] ?? '';
    return {
      constant: (input) => this.#known.constants.get(nameOf(input)),
      scalar: (input) => {
        const constant = this.#known.trained.has(nameOf(input)) ? undefined : this.#known.constants.get(nameOf(input));
        return constant?.data.length === 1 ? Number(constant.data[0]) : undefined;
      },
      shape: (input) => this.#shapeOf(nameOf(input)) ?? [],
      fileShape: (input) => this.#fileShapes?.get(nameOf(input)),
      dtype: (input) => this.#known.dtypeOf(nameOf(input)),
      computed: (input) => !this.#known.constants.has(nameOf(input)),
      trained: (input) => this.#known.trained.has(nameOf(input)),
      maker: (input) => {
        const node = this.#makers.get(nameOf(input));
        return node && { node, context: this.#context(node) };
      },
      isKnown: (name) => this.#known.has(name),
      isRead: (output) => outputs[output] !== undefined && outputs[output] !== '' && this.#read.has(outputs[output]),
      opset: this.#onnx.opset,
      batch: { file: this.#fileBatch, job: this.#batch },
    };
  }

  #shapeOf(name: string): Shape | undefined {
    return this.#known.shapeOf(name) ?? this.#recurrent?.shapeOf(name);
  }

  #unsupported(node: OnnxNode): void {
    const { opType, domain } = node;
    if (domain === '' && RANDOM.has(opType)) {
      const cure =
        'expected no random numbers but those of Dropout: export the model without noise or stochastic depth';
      this.#problems.node(node, `uses op '${opType}'; ${cure}`);
      return;
    }
    const what = domain === '' ? `op '${opType}'` : `op '${opType}' of domain '${domain}'`;
    const types = new Set([...definitions.keys(), ...LOWERED_TYPES, ...RECURRENCES.keys()]);
    const known = [...types].toSorted((a, b) => a.localeCompare(b)).join(', ');
    this.#problems.node(node, `uses ${what}, which is not supported; expected one of ${known}`);
  }
}

/** Whether a node without a definition of its own may yet be folded, passed over, or written as others. */
function isUnderstood(node: OnnxNode): boolean {
  const { opType, domain } = node;
  const special = TRANSPARENT.has(opType) || RECURRENCES.has(opType) || isLowered(node);
  return domain === '' && (special || isFoldable(opType));
}
