import type { OnnxNode, OnnxTensor } from '../../onnx/model.ts';
import { OpError } from '../../ops/op.ts';
import type { GraphBuilder } from '../../training/builder.ts';
import type { Shape } from '../../graph/graph.ts';
import type { AxisView } from './axis-view.ts';
import {
  materialized,
  plainPieces,
  plainView,
  slicedView,
  squeezedView,
  transposedView,
  viewShape,
} from './axis-view.ts';
import { RearrangedConstants } from './constants.ts';
import type { RecurrentNode } from './node.ts';
import { NODE_INPUT, readRecurrentNode, RECURRENCES } from './node.ts';
import { resultViews } from './results.ts';
import type { Unrolled } from './unroll.ts';
import { stepGroups, unrollDirection } from './unroll.ts';
import { viewByNode } from './view-node.ts';
import type { Rearranged } from './weight-runs.ts';
import type { RecurrentParameter } from './weights.ts';
import { directionParameters } from './weights.ts';

/**
 * Node types that make a view of a tensor too, by how many axes it has: what stands before a recurrent node. The views of
 * what a recurrent node gives are seen through by more.
 */
const SEEN_THROUGH: ReadonlyMap<string, number> = new Map([
  ['Transpose', 3],
  ['Slice', 3],
  ['Unsqueeze', 2],
]);

/** What the importer of recurrent nodes shares with that of all others. */
export interface ImportHost {
  readonly builder: GraphBuilder;
  /** Constants of the file and of folding, by ONNX name. */
  readonly constants: ReadonlyMap<string, OnnxTensor>;
  /** Names of constants that training changes. */
  readonly trained: ReadonlySet<string>;
  /** Tensor ids of values, by ONNX name. */
  readonly values: Map<string, number>;
  /** Initial values of parameters, by tensor name. */
  readonly weights: Map<string, Float32Array>;
  /** Steps of one op at most. */
  readonly unrollSteps: number;
  /** Imports a node as if it were met now. */
  importNode(node: OnnxNode): void;
}

/**
 * Unrolls the LSTM, GRU and RNN nodes of a file into ops, and sees through what exporters write around them: weights that
 * are put together from others wait for who reads them, and axes in another order become a view. Whatever another node
 * reads is made then, so nothing is made in vain.
 */
export class RecurrentImporter {
  readonly #host: ImportHost;
  readonly #views = new Map<string, AxisView>();
  readonly #constants: RearrangedConstants;
  /** The nodes that only rearrange constants, by their results. */
  readonly #waiting = new Map<string, OnnxNode>();
  /** Tensor ids of parameters by name. */
  readonly #parameters = new Map<string, number>();

  constructor(host: ImportHost) {
    this.#host = host;
    this.#constants = new RearrangedConstants(host.constants, host.trained);
  }

  /** The shape of a value that is no tensor of the graph yet. */
  shapeOf(name: string): Shape | undefined {
    const view = this.#views.get(name);
    return view === undefined ? this.#constants.get(name)?.shape : viewShape(view);
  }

  /**
   * Imports a node if it is a recurrent one, or one that can be seen through.
   * @returns whether it did
   * @throws {OpError} for a recurrent node that the ops do not cover
   */
  takes(node: OnnxNode): boolean {
    if (node.domain !== '') return false;
    const kind = RECURRENCES.get(node.opType);
    if (kind !== undefined) {
      if (!node.inputs.every((name) => name === '' || this.#has(name))) return false;
      const x = this.#viewOf(node.inputs[NODE_INPUT.x]!);
      if (x?.axes.length !== 3) throw new OpError(`${node.opType} has an input of ${x?.axes.length} axes; expected 3`);
      const stepsOf = (timeFirst: boolean): number => viewShape(x)[timeFirst ? 0 : 1]!;
      const constant = (input: number): OnnxTensor | undefined => this.#constants.plain(node, input);
      this.#unroll(
        readRecurrentNode(node, kind, stepsOf, constant, (input) => this.#isZero(node, input)),
        x,
      );
      return true;
    }
    const [output = ''] = node.outputs;
    if (this.#constants.add(node)) {
      this.#waiting.set(output, node);
      return true;
    }
    const view = this.#viewBy(node);
    if (view !== undefined) this.#views.set(output, view);
    return view !== undefined;
  }

  /** Makes a tensor of a value that was left for later; the node about to be imported reads it. */
  force(name: string): void {
    const node = this.#waiting.get(name);
    const view = this.#views.get(name);
    if (node !== undefined) {
      this.#waiting.delete(name);
      this.#constants.delete(name);
      for (const input of node.inputs) this.force(input);
      this.#host.importNode(node);
    } else if (view !== undefined && !this.#host.values.has(name)) {
      this.#host.values.set(name, materialized(view, this.#host.builder));
    }
  }

  #has(name: string): boolean {
    const { values, constants } = this.#host;
    return values.has(name) || constants.has(name) || this.#views.has(name) || this.#waiting.has(name);
  }

  /** Whether an input of a node is a constant of nothing but zeros. */
  #isZero({ inputs }: OnnxNode, input: number): boolean {
    const value = this.#constants.get(inputs[input] ?? '');
    return value !== undefined && this.#constants.isZero(value);
  }

  #viewOf(name: string): AxisView | undefined {
    const id = this.#host.values.get(name);
    return this.#views.get(name) ?? (id === undefined ? undefined : plainView(name, id, this.#host.builder.shape(id)));
  }

  /** What a node makes of a view, or of a tensor that a recurrent node may read. */
  #viewBy(node: OnnxNode): AxisView | undefined {
    const [input = ''] = node.inputs;
    const plain = !this.#views.has(input);
    const source = plain && !SEEN_THROUGH.has(node.opType) ? undefined : this.#viewOf(input);
    if (source === undefined || (plain && source.axes.length !== SEEN_THROUGH.get(node.opType))) return undefined;
    const view = viewByNode(node, { ...source, name: node.name }, (at) => this.#constants.plain(node, at));
    // Time and samples change places, and nothing else: other turns are those of attention heads.
    return plain && node.opType === 'Transpose' && String(view?.axes) !== '1,0,2' ? undefined : view;
  }

  #unroll(recurrent: RecurrentNode, x: AxisView): void {
    const { builder, unrollSteps } = this.#host;
    const { node, kind, reverse, hasMemory, timeFirst, attributes } = recurrent;
    const samplesFirst = timeFirst ? transposedView(x, [1, 0, 2])! : x;
    const name = node.name;
    const pieces =
      plainPieces(samplesFirst, builder) ??
      plainView(name, materialized(samplesFirst, builder), viewShape(samplesFirst)).pieces();
    const groups = stepGroups(builder, name, pieces, unrollSteps);
    const unrolled = reverse.map((backwards, direction): Unrolled => {
      const parameters = this.#directionParameters(recurrent, direction);
      const [hidden, memory] = [NODE_INPUT.hidden, NODE_INPUT.memory].map((input) =>
        this.#state(recurrent, input, direction),
      );
      const { [direction]: opAttributes = {} } = attributes;
      const states = { hidden, memory: hasMemory ? memory : undefined, hasMemory };
      const title = reverse.length > 1 && backwards ? `${name}.reverse` : name;
      const each = { kind, name: title, reverse: backwards, attributes: opAttributes, parameters, ...states };
      return unrollDirection(builder, each, groups);
    });
    for (const [output, view] of resultViews(builder, recurrent, unrolled).entries()) {
      const result = node.outputs[output] ?? '';
      if (view !== undefined && result !== '') this.#views.set(result, view);
    }
  }

  #directionParameters(recurrent: RecurrentNode, direction: number): number[] {
    const { inputs } = recurrent.node;
    const rearranged = (input: number): Rearranged | undefined => this.#constants.get(inputs[input] ?? '');
    const sizeOf = (name: string): number => this.#constants.sizeOf(name);
    return directionParameters(recurrent, direction, rearranged, sizeOf).map((each) => this.#parameter(each));
  }

  /** Layers that share weights share the parameter. */
  #parameter({ name, shape, value }: RecurrentParameter): number {
    const { builder, weights } = this.#host;
    const known = this.#parameters.get(name);
    if (known !== undefined && String(builder.shape(known)) === String(shape)) return known;
    const id = builder.parameter(name, shape);
    this.#parameters.set(name, id);
    weights.set(name, this.#constants.elements(value));
    return id;
  }

  /** A state before the first step as [N, H]; undefined for zeros. */
  #state({ node, reverse, timeFirst }: RecurrentNode, input: number, direction: number): number | undefined {
    const { builder } = this.#host;
    const name = node.inputs[input] ?? '';
    if (name === '') return undefined;
    const constant = this.#constants.get(name);
    if (constant !== undefined) {
      if (this.#constants.isZero(constant)) return undefined;
      const what = this.#constants.isLearned(constant) ? 'a learned state of a fixed batch' : 'a constant state';
      throw new OpError(
        `${node.opType} starts from ${what}; expected zeros, or values that are computed: expand a learned state to the samples`,
      );
    }
    const view = this.#viewOf(name);
    const axis = timeFirst ? 0 : 1;
    const shape = view && viewShape(view);
    const directions = reverse.length;
    if (view === undefined || shape?.length !== 3 || shape[axis] !== directions) {
      throw new OpError(`${node.opType} has a state of shape [${shape}]; expected ${directions} on axis ${axis}`);
    }
    const sliceable = slicedView(view, axis, direction, direction + 1);
    if (directions === 1 || sliceable !== undefined) {
      return materialized(squeezedView(sliceable ?? view, [axis])!, builder);
    }
    const bounds = { starts: [direction], ends: [direction + 1], axes: [axis], steps: [1] };
    const own = builder.op('slice', node.name, [materialized(view, builder)], bounds);
    return materialized(squeezedView(plainView(node.name, own, builder.shape(own)), [axis])!, builder);
  }
}
