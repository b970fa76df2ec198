import type { OnnxDType, OnnxGraph, OnnxNode, OnnxTensor, OnnxValue } from '../onnx/model.ts';
import { constantAttributes } from '../ops/constant.ts';
import { droppedShare } from '../ops/dropout.ts';
import { OP_DEFINITIONS, opDefinition } from '../ops/index.ts';
import type { ImportContext, OpDefinition } from '../ops/op.ts';
import { OpError } from '../ops/op.ts';
import type { Problem } from '../schema/check.ts';
import { FileError } from '../schema/check.ts';
import { GraphBuilder } from './builder.ts';
import { foldNode, isFoldable } from './fold.ts';
import type { Model, Moments, Shape } from './graph.ts';
import { isLowered, lowerNode } from './lower.ts';
import { elementOfSplit } from './lowering/sequence.ts';
import { RecurrentImporter } from './recurrent/importer.ts';
import { RECURRENCES } from './recurrent/node.ts';
import { fuse } from './rewrite/fuse.ts';
import { trainedNames } from './trained.ts';

const definitions = new Map(
  OP_DEFINITIONS.flatMap((definition) => definition.onnxTypes.map((type) => [type, definition])),
);

/** Nodes that pass their first input on, or may. */
const TRANSPARENT = new Set(['Identity', 'Dropout']);

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
    batch === undefined || batch === options.batch ? undefined : new Importer(onnx, { ...options, batch }).shapes();
  return new Importer(onnx, options, shapes).run();
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
  readonly #builder = new GraphBuilder();
  readonly #constants: Map<string, OnnxTensor>;
  /** Names of constants that training changes. */
  readonly #trained: Set<string>;
  /** Tensor ids of values by their ONNX names. */
  readonly #values = new Map<string, number>();
  readonly #weights = new Map<string, Float32Array>();
  /** Of batch normalizations, by the id of their result. */
  readonly #moments = new Map<number, Moments>();
  /** Nodes that make a sequence of tensors, by its name. */
  readonly #sequences = new Map<string, OnnxNode>();
  /** Names of what nodes read, and of the file's results. */
  readonly #read: ReadonlySet<string>;
  readonly #problems: Problem[] = [];
  /** Results of nodes that are among the problems. */
  readonly #failed = new Set<string>();
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
    this.#constants = new Map(onnx.initializers);
    this.#trained = trainedNames(onnx);
    this.#fileBatch = fileBatchOf(onnx);
    this.#fileShapes = fileShapes;
    const isRecurrent = onnx.nodes.some(({ domain, opType }) => domain === '' && RECURRENCES.has(opType));
    const shared = { builder: this.#builder, constants: this.#constants, values: this.#values, weights: this.#weights };
    const host = { ...shared, unrollSteps, importNode: (node: OnnxNode): void => this.#plainNode(node) };
    this.#recurrent = isRecurrent ? new RecurrentImporter(host) : undefined;
  }

  /** Shapes of values by their ONNX names, as far as they can be imported. */
  shapes(): ReadonlyMap<string, Shape> {
    this.#importAll();
    return new Map([...this.#values].map(([name, id]) => [name, this.#builder.shape(id)]));
  }

  run(): Model {
    this.#importAll();
    const outputs = this.#onnx.outputs.map(({ name }) => this.#result(name));
    if (this.#problems.length === 0 && outputs.includes(undefined)) {
      this.#problems.push({ path: 'outputs', message: 'are constants; expected results computed from the inputs' });
    }
    if (this.#problems.length > 0) throw new FileError(this.#source, this.#problems);
    const graph = this.#builder.build(
      this.#onnx.name,
      outputs.filter((id) => id !== undefined),
    );
    const named = graph.ops.flatMap(({ name, outputs }) => {
      const moments = this.#moments.get(outputs[0]!);
      return moments === undefined ? [] : [[name, moments] as const];
    });
    return { graph, weights: this.#weights, ...(named.length === 0 ? {} : { moments: new Map(named) }) };
  }

  #importAll(): void {
    for (const input of this.#onnx.inputs) this.#input(input);
    for (const node of this.#onnx.nodes) this.#node(node);
  }

  #input({ name, dtype, shape }: OnnxValue): void {
    const symbolic = shape.slice(1).filter((extent) => typeof extent === 'string');
    if (symbolic.length > 0 || shape.length === 0) {
      const message = `has shape [${shape}]; expected samples first and numbers after: export with static shapes`;
      this.#failInput(name, message);
      return;
    }
    if (dtype !== 'float32' && dtype !== 'int64') {
      this.#failInput(name, `has element type ${dtype}; expected float32 or int64`);
      return;
    }
    this.#values.set(name, this.#builder.input(name, [this.#batch, ...shape.slice(1).map(Number)], dtype));
  }

  /** The tensor id of a result of the file. */
  #result(name: string): number | undefined {
    try {
      this.#recurrent?.force(name);
    } catch (error) {
      if (!(error instanceof OpError)) throw error;
      this.#problems.push({ path: `output '${name}'`, message: error.message });
    }
    return this.#values.get(name);
  }

  #node(node: OnnxNode): void {
    try {
      if (this.#recurrent?.takes(node) === true) return;
      // The shape of a value is known without it.
      if (node.opType !== 'Shape') for (const input of node.inputs) this.#recurrent?.force(input);
    } catch (error) {
      if (!(error instanceof OpError)) throw error;
      this.#fail(node, error.message);
      return;
    }
    this.#plainNode(node);
  }

  #plainNode(given: OnnxNode): void {
    const split = this.#sequences.get(given.inputs[0] ?? '');
    const node = given.opType === 'SequenceAt' && split !== undefined ? elementOfSplit(split, given) : given;
    const [output = ''] = node.outputs;
    if (node.domain === '' && node.opType === 'SplitToSequence') {
      this.#sequences.set(output, node);
      return;
    }
    const input = this.#values.get(node.inputs[0] ?? '');
    if (input !== undefined && this.#isTransparent(node)) {
      this.#values.set(output, input);
      return;
    }
    if (this.#folds(node) || this.#lowers(node)) return;
    const definition = node.domain === '' ? definitions.get(node.opType) : undefined;
    const missing = node.inputs.filter((name) => name !== '' && !this.#known(name));
    if (missing.length > 0 && (definition !== undefined || isUnderstood(node))) this.#starved(node, missing);
    else if (definition === undefined) this.#unsupported(node);
    else this.#op(node, definition);
  }

  /** Evaluates a node of constants that are not trained; an Identity of a trained one is another that is. */
  #folds(node: OnnxNode): boolean {
    const [output = ''] = node.outputs;
    const alias = node.opType === 'Identity' && this.#trained.has(node.inputs[0] ?? '');
    const constant = (input: number): OnnxTensor | undefined => {
      const name = node.inputs[input] ?? '';
      return this.#trained.has(name) && !alias ? undefined : this.#constants.get(name);
    };
    const folded = foldNode(node, constant, (input) => this.#shapeOf(node.inputs[input] ?? ''));
    if (folded === undefined) return false;
    if (folded !== constant(0)) this.#foldedElements += folded.data.length;
    if (this.#foldedElements > MAX_FOLDED_ELEMENTS) this.#fail(node, 'makes constants of more than 1 GiB in all');
    else this.#constants.set(output, folded);
    if (alias) this.#trained.add(output);
    return true;
  }

  /** Imports the nodes that a node is written as, if it is. */
  #lowers(node: OnnxNode): boolean {
    if (!node.inputs.every((name) => name === '' || this.#known(name))) return false;
    try {
      const nodes = lowerNode(node, this.#context(node));
      for (const each of nodes ?? []) this.#node(each);
      return nodes !== undefined;
    } catch (error) {
      if (!(error instanceof OpError)) throw error;
      this.#fail(node, error.message);
      return true;
    }
  }

  /** A node without its inputs: a problem of its own, unless they are missing because of one that is listed already. */
  #starved(node: OnnxNode, missing: readonly string[]): void {
    const unmade = missing.filter((name) => !this.#failed.has(name));
    if (unmade.length === 0) this.#markFailed(node);
    else this.#fail(node, `reads '${unmade.join("', '")}', which no node before it makes: export the model again`);
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

  #failInput(name: string, message: string): void {
    this.#problems.push({ path: `input '${name}'`, message });
    this.#failed.add(name);
  }

  #fail(node: OnnxNode, message: string): void {
    this.#problems.push({ path: `node '${node.name}'`, message });
    this.#markFailed(node);
  }

  #markFailed({ outputs }: OnnxNode): void {
    for (const output of outputs) this.#failed.add(output);
  }

  #op(node: OnnxNode, definition: OpDefinition): void {
    try {
      const { kind = definition.kind, attributes, inputs } = definition.fromOnnx(node, this.#context(node));
      const ids = inputs.map((input) => this.#operand(node.inputs[input]!, opDefinition(kind)));
      const first = this.#builder.op(kind, node.name, ids, attributes);
      if (kind === 'batchNorm') this.#keepMoments(node, first);
      this.#builder.outputsOf(first).forEach((id, i) => {
        const name = node.outputs[i] ?? '';
        if (name !== '') this.#values.set(name, id);
      });
    } catch (error) {
      if (!(error instanceof OpError)) throw error;
      this.#fail(node, error.message);
    }
  }

  /** The running moments of a batch normalization, its inputs 3 and 4. @throws {OpError} unless they are a number a channel */
  #keepMoments({ inputs, opType }: OnnxNode, result: number): void {
    const [mean, variance] = [3, 4].map((input) => this.#constants.get(inputs[input] ?? '')?.data);
    if (!(mean instanceof Float32Array) || !(variance instanceof Float32Array)) return;
    const channels = this.#builder.shape(result)[1]!;
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
      constant: (input) => this.#constants.get(nameOf(input)),
      scalar: (input) => {
        const constant = this.#trained.has(nameOf(input)) ? undefined : this.#constants.get(nameOf(input));
        return constant?.data.length === 1 ? Number(constant.data[0]) : undefined;
      },
      shape: (input) => this.#shapeOf(nameOf(input)) ?? [],
      fileShape: (input) => this.#fileShapes?.get(nameOf(input)),
      dtype: (input) => this.#dtypeOf(nameOf(input)),
      computed: (input) => !this.#constants.has(nameOf(input)),
      trained: (input) => this.#trained.has(nameOf(input)),
      isRead: (output) => outputs[output] !== undefined && outputs[output] !== '' && this.#read.has(outputs[output]),
      opset: this.#onnx.opset,
      batch: { file: this.#fileBatch, job: this.#batch },
    };
  }

  /** The tensor an op reads: a computed value, a constant, or a constant that becomes a parameter. */
  #operand(name: string, definition: OpDefinition): number {
    const known = this.#values.get(name);
    if (known !== undefined) return known;
    const constant = this.#constants.get(name);
    if (constant === undefined)
      throw new OpError('leaves out an input; expected a value there: export the model again');
    if (definition.readsConstants === true && !this.#trained.has(name)) {
      const id = this.#builder.op('constant', name, [], constantAttributes(constant));
      this.#values.set(name, id);
      return id;
    }
    if (!(constant.data instanceof Float32Array)) {
      throw new OpError(`reads constant '${name}' of type ${constant.dtype}; expected float32 weights`);
    }
    const id = this.#builder.parameter(name, constant.shape);
    this.#values.set(name, id);
    this.#weights.set(name, constant.data);
    return id;
  }

  #shapeOf(name: string): Shape | undefined {
    const id = this.#values.get(name);
    if (id !== undefined) return this.#builder.shape(id);
    return this.#constants.get(name)?.shape ?? this.#recurrent?.shapeOf(name);
  }

  #dtypeOf(name: string): OnnxDType {
    const id = this.#values.get(name);
    return (id === undefined ? this.#constants.get(name)?.dtype : this.#builder.dtype(id)) ?? 'float32';
  }

  #known(name: string): boolean {
    return this.#values.has(name) || this.#constants.has(name);
  }

  #unsupported(node: OnnxNode): void {
    const { opType, domain } = node;
    const what = domain === '' ? `op '${opType}'` : `op '${opType}' of domain '${domain}'`;
    const known = [...definitions.keys()].sort((a, b) => a.localeCompare(b)).join(', ');
    this.#fail(node, `uses ${what}, which is not supported; expected one of ${known}`);
  }
}

/** Whether a node without a definition of its own may yet be folded, passed over, or written as others. */
function isUnderstood(node: OnnxNode): boolean {
  const { opType, domain } = node;
  const special = TRANSPARENT.has(opType) || RECURRENCES.has(opType) || isLowered(node);
  return domain === '' && (special || isFoldable(opType));
}
