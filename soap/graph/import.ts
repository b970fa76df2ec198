import type { OnnxGraph, OnnxNode, OnnxTensor, OnnxValue } from '../onnx/model.ts';
import { OP_DEFINITIONS } from '../ops/index.ts';
import type { OpDefinition } from '../ops/op.ts';
import { OpError } from '../ops/op.ts';
import type { Problem } from '../schema/check.ts';
import { FileError } from '../schema/check.ts';
import { GraphBuilder } from './builder.ts';
import { foldNode, integerValues, isFoldable } from './fold.ts';
import type { Model, Shape } from './graph.ts';

const definitions = new Map(
  OP_DEFINITIONS.flatMap((definition) => definition.onnxTypes.map((type) => [type, definition])),
);

/** Nodes that pass their first input on when a model is trained by this project. */
const TRANSPARENT = new Set(['Identity', 'Dropout']);

/** Elements that nodes without weights of their own may make in all, so that a small file cannot take all memory: 1 GiB. */
const MAX_FOLDED_ELEMENTS = 2 ** 28;

export interface ImportOptions {
  /** Samples per step; the file's own batch, or a symbolic one, is replaced. */
  readonly batch: number;
  /** What messages call the file. */
  readonly source?: string;
}

/**
 * Makes a model of an ONNX graph. Shape arithmetic is folded; float constants that ops read become parameters with their
 * values as initial weights.
 * @throws {FileError} with every node that cannot be imported
 */
export function importOnnx(onnx: OnnxGraph, options: ImportOptions): Model {
  return new Importer(onnx, options).run();
}

class Importer {
  readonly #onnx: OnnxGraph;
  readonly #source: string;
  readonly #batch: number;
  /** The batch the file was exported with; undefined where it is symbolic. */
  readonly #fileBatch: number | undefined;
  readonly #builder = new GraphBuilder();
  readonly #constants: Map<string, OnnxTensor>;
  /** Tensor ids of values by their ONNX names. */
  readonly #values = new Map<string, number>();
  readonly #weights = new Map<string, Float32Array>();
  readonly #problems: Problem[] = [];
  /** Results of nodes that are among the problems. */
  readonly #failed = new Set<string>();
  #foldedElements = 0;

  constructor(onnx: OnnxGraph, { batch, source = 'the ONNX file' }: ImportOptions) {
    this.#onnx = onnx;
    this.#batch = batch;
    this.#source = source;
    this.#constants = new Map(onnx.initializers);
    const extent = onnx.inputs[0]?.shape[0];
    this.#fileBatch = typeof extent === 'number' ? extent : undefined;
  }

  run(): Model {
    for (const input of this.#onnx.inputs) this.#input(input);
    for (const node of this.#onnx.nodes) this.#node(node);
    const outputs = this.#onnx.outputs.map(({ name }) => this.#values.get(name));
    if (this.#problems.length === 0 && outputs.includes(undefined)) {
      this.#problems.push({ path: 'outputs', message: 'are constants; expected results computed from the inputs' });
    }
    if (this.#problems.length > 0) throw new FileError(this.#source, this.#problems);
    const graph = this.#builder.build(
      this.#onnx.name,
      outputs.filter((id) => id !== undefined),
    );
    return { graph, weights: this.#weights };
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

  #node(node: OnnxNode): void {
    const [output = ''] = node.outputs;
    if (node.domain === '' && TRANSPARENT.has(node.opType) && this.#values.has(node.inputs[0] ?? '')) {
      if (this.#dropsAtRandom(node)) {
        this.#fail(node, 'drops values at random; expected none: export the model with its dropout turned off');
      } else this.#values.set(output, this.#values.get(node.inputs[0]!)!);
      return;
    }
    const constant = (input: number): OnnxTensor | undefined => this.#constants.get(node.inputs[input] ?? '');
    const folded = foldNode(node, constant, (input) => this.#shapeOf(node.inputs[input] ?? ''));
    if (folded !== undefined) {
      if (folded !== constant(0)) this.#foldedElements += folded.data.length;
      if (this.#foldedElements > MAX_FOLDED_ELEMENTS) this.#fail(node, 'makes constants of more than 1 GiB in all');
      else this.#constants.set(output, folded);
      return;
    }
    const definition = node.domain === '' ? definitions.get(this.#meaning(node)) : undefined;
    const missing = node.inputs.filter((name) => name !== '' && !this.#known(name));
    if (missing.length > 0 && (definition !== undefined || isUnderstood(node))) this.#starved(node, missing);
    else if (definition === undefined) this.#unsupported(node);
    else this.#op(node, definition);
  }

  /** A node without its inputs: a problem of its own, unless they are missing because of one that is listed already. */
  #starved(node: OnnxNode, missing: readonly string[]): void {
    const unmade = missing.filter((name) => !this.#failed.has(name));
    if (unmade.length === 0) this.#markFailed(node);
    else this.#fail(node, `reads '${unmade.join("', '")}', which no node before it makes: export the model again`);
  }

  /** A Dropout in training mode with a ratio. Without the input, the mode is inference. */
  #dropsAtRandom({ opType, inputs }: OnnxNode): boolean {
    if (opType !== 'Dropout' || (inputs[2] ?? '') === '') return false;
    const ratio = this.#constants.get(inputs[1] ?? '')?.data[0] ?? 0.5;
    const training = this.#constants.get(inputs[2]!)?.data[0] ?? 1;
    return Number(training) !== 0 && Number(ratio) > 0;
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

  /** The operator type that says what the node does. A Reshape that keeps samples and flattens the rest is a Flatten. */
  #meaning(node: OnnxNode): string {
    if (node.opType !== 'Reshape') return node.opType;
    const from = this.#shapeOf(node.inputs[0] ?? '');
    const to = integerValues(this.#constants.get(node.inputs[1] ?? ''));
    if (from === undefined || to?.length !== 2) return node.opType;
    const features = from.slice(1).reduce((a, b) => a * b, 1);
    const keepsSamples =
      to[0] === 0 || to[0] === from[0] || to[0] === this.#fileBatch || (to[0] === -1 && to[1] === features);
    return keepsSamples && (to[1] === -1 || to[1] === features) ? 'Flatten' : node.opType;
  }

  #op(node: OnnxNode, definition: OpDefinition): void {
    try {
      const { attributes, inputs } = definition.fromOnnx(node, {
        constant: (input) => this.#constants.get(node.inputs[input] ?? ''),
        scalar: () => undefined,
        computed: () => true,
        opset: 17,
        batch: { file: this.#fileBatch, job: this.#batch },
        shape: (input) => this.#shapeOf(node.inputs[input] ?? '') ?? [],
      });
      const ids = inputs.map((input) => this.#operand(node.inputs[input]!));
      this.#values.set(node.outputs[0]!, this.#builder.op(definition.kind, node.name, ids, attributes));
    } catch (error) {
      if (!(error instanceof OpError)) throw error;
      this.#fail(node, error.message);
    }
  }

  /** The tensor an op reads: a computed value, or a constant that becomes a parameter. */
  #operand(name: string): number {
    const known = this.#values.get(name);
    if (known !== undefined) return known;
    const constant = this.#constants.get(name)!;
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
    return id === undefined ? this.#constants.get(name)?.shape : this.#builder.shape(id);
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

/** Whether a node without a definition of its own may yet be folded, passed over, or taken for a Flatten. */
function isUnderstood({ opType, domain }: OnnxNode): boolean {
  return domain === '' && (isFoldable(opType) || TRANSPARENT.has(opType) || opType === 'Reshape');
}
