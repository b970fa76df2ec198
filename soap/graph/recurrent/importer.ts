import type { OnnxNode, OnnxTensor } from '../../onnx/model.ts';
import { OpError } from '../../ops/op.ts';
import type { GraphBuilder } from '../builder.ts';
import { integerValues } from '../fold.ts';
import type { Shape } from '../graph.ts';
import type { AxisView } from './axis-view.ts';
import {
  materialized,
  plainPieces,
  plainView,
  reshapedView,
  squeezedView,
  transposedView,
  unsqueezedView,
  viewShape,
} from './axis-view.ts';
import type { RecurrentNode } from './node.ts';
import { NODE_INPUT, readRecurrentNode, RECURRENT_KINDS } from './node.ts';
import type { Unrolled } from './unroll.ts';
import { stepGroups, unrollDirection } from './unroll.ts';
import type { Rearranged } from './weight-runs.ts';
import { elementsOf, rearrange, REARRANGING, wholeConstant } from './weight-runs.ts';
import type { RecurrentParameter } from './weights.ts';
import { directionParameters } from './weights.ts';

/** What the importer of recurrent nodes shares with that of all others. */
export interface ImportHost {
  readonly builder: GraphBuilder;
  /** Constants of the file and of folding, by ONNX name. */
  readonly constants: ReadonlyMap<string, OnnxTensor>;
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
  readonly #rearranged = new Map<string, Rearranged>();
  /** The nodes whose results are in `#rearranged`, and in nothing else. */
  readonly #waiting = new Map<string, OnnxNode>();
  /** Tensor ids of parameters by name. */
  readonly #parameters = new Map<string, number>();

  constructor(host: ImportHost) {
    this.#host = host;
  }

  /** The shape of a value that is no tensor of the graph yet. */
  shapeOf(name: string): Shape | undefined {
    const view = this.#views.get(name);
    return view === undefined ? this.#rearranged.get(name)?.shape : viewShape(view);
  }

  /**
   * Imports a node if it is a recurrent one, or one that can be seen through.
   * @returns whether it did
   * @throws {OpError} for a recurrent node that the ops do not cover
   */
  takes(node: OnnxNode): boolean {
    if (node.domain !== '') return false;
    const kind = RECURRENT_KINDS.get(node.opType);
    if (kind !== undefined) {
      if (!node.inputs.every((name) => name === '' || this.#has(name))) return false;
      const constant = (input: number): OnnxTensor | undefined => this.#host.constants.get(node.inputs[input] ?? '');
      const x = this.#viewOf(node.inputs[NODE_INPUT.x]!);
      if (x?.axes.length !== 3) throw new OpError(`${node.opType} has an input of ${x?.axes.length} axes; expected 3`);
      const stepsOf = (timeFirst: boolean): number => viewShape(x)[timeFirst ? 0 : 1]!;
      this.#unroll(readRecurrentNode(node, kind, stepsOf, constant), x);
      return true;
    }
    const [output = ''] = node.outputs;
    const rearranged = REARRANGING.has(node.opType) ? this.#rearrangedBy(node) : undefined;
    if (rearranged !== undefined) {
      this.#rearranged.set(output, rearranged);
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
      this.#rearranged.delete(name);
      for (const input of node.inputs) this.force(input);
      this.#host.importNode(node);
    } else if (view !== undefined && !this.#host.values.has(name)) {
      this.#host.values.set(name, materialized(view, this.#host.builder));
    }
  }

  #has(name: string): boolean {
    const { values, constants } = this.#host;
    return values.has(name) || constants.has(name) || this.#views.has(name) || this.#rearranged.has(name);
  }

  #rearrangedOf(name: string): Rearranged | undefined {
    const constant = this.#host.constants.get(name);
    if (constant?.dtype === 'float32') return wholeConstant(name, constant.shape);
    return this.#rearranged.get(name);
  }

  #rearrangedBy(node: OnnxNode): Rearranged | undefined {
    const name = (input: number): string => node.inputs[input] ?? '';
    return rearrange(
      node,
      (input) => this.#rearrangedOf(name(input)),
      (input) => this.#host.constants.get(name(input)),
      (value) => this.#isZero(value),
    );
  }

  #isZero({ runs }: Rearranged): boolean {
    return runs.every(({ source, start, length }) => {
      const data = source === undefined ? undefined : this.#host.constants.get(source)!.data;
      return data === undefined || data.subarray(start, start + length).every((value) => Number(value) === 0);
    });
  }

  #viewOf(name: string): AxisView | undefined {
    const id = this.#host.values.get(name);
    return this.#views.get(name) ?? (id === undefined ? undefined : plainView(name, id, this.#host.builder.shape(id)));
  }

  /** What a node makes of a view; of a tensor, only that its first two of three axes change places. */
  #viewBy(node: OnnxNode): AxisView | undefined {
    const [input = ''] = node.inputs;
    const perm = node.attributes['perm'];
    const permutation = perm?.type === 'ints' ? perm.value : [];
    const swaps = node.opType === 'Transpose' && String(permutation) === '1,0,2';
    const known = swaps ? this.#viewOf(input) : this.#views.get(input);
    const view = known && { ...known, name: node.name };
    const given = integerValues(this.#host.constants.get(node.inputs[1] ?? ''));
    const attribute = node.attributes['axes'];
    const axes = given ?? (attribute?.type === 'ints' ? attribute.value : undefined);
    if (view === undefined) return undefined;
    switch (node.opType) {
      case 'Transpose':
        return transposedView(view, permutation);
      case 'Identity':
        return view;
      case 'Squeeze':
        return squeezedView(view, axes);
      case 'Unsqueeze':
        return axes && unsqueezedView(view, axes);
      case 'Reshape':
        return given && reshapedView(view, given);
      default:
        return undefined;
    }
  }

  #unroll(recurrent: RecurrentNode, x: AxisView): void {
    const { builder, unrollSteps } = this.#host;
    const { node, kind, reverse, hasMemory, timeFirst, attributes } = recurrent;
    const samplesFirst = timeFirst ? transposedView(x, [1, 0, 2])! : x;
    const pieces = plainPieces(samplesFirst, builder) ?? [materialized(samplesFirst, builder)];
    const groups = stepGroups(builder, node.name, pieces, unrollSteps);
    const unrolled = reverse.map((backwards, direction): Unrolled => {
      const name = reverse.length > 1 && backwards ? `${node.name}.reverse` : node.name;
      const parameters = this.#directionParameters(recurrent, direction);
      const [hidden, memory] = [NODE_INPUT.hidden, NODE_INPUT.memory].map((input) =>
        this.#state(recurrent, input, direction),
      );
      const { [direction]: opAttributes = {} } = attributes;
      const states = { hidden, memory: hasMemory ? memory : undefined, hasMemory };
      const each = { kind, name, reverse: backwards, attributes: opAttributes, parameters, ...states };
      return unrollDirection(builder, each, groups);
    });
    this.#setOutputs(recurrent, unrolled);
  }

  #directionParameters(recurrent: RecurrentNode, direction: number): number[] {
    const { inputs } = recurrent.node;
    const rearranged = (input: number): Rearranged | undefined => this.#rearrangedOf(inputs[input] ?? '');
    const sizeOf = (name: string): number => this.#host.constants.get(name)!.data.length;
    return directionParameters(recurrent, direction, rearranged, sizeOf).map((each) => this.#parameter(each));
  }

  /** Layers that share weights share the parameter. */
  #parameter({ name, shape, value }: RecurrentParameter): number {
    const { builder, weights, constants } = this.#host;
    const known = this.#parameters.get(name);
    if (known !== undefined && String(builder.shape(known)) === String(shape)) return known;
    if (weights.has(name)) throw new OpError(`reads '${name}', which another node reads as a tensor of another shape`);
    const id = builder.parameter(name, shape);
    this.#parameters.set(name, id);
    weights.set(
      name,
      elementsOf(value, (source) => floatsOf(constants.get(source))),
    );
    return id;
  }

  /** A state before the first step as [N, H]; undefined for zeros. */
  #state({ node, reverse, timeFirst }: RecurrentNode, input: number, direction: number): number | undefined {
    const { builder } = this.#host;
    const name = node.inputs[input] ?? '';
    if (name === '') return undefined;
    const constant = this.#rearrangedOf(name);
    if (constant !== undefined) {
      if (this.#isZero(constant)) return undefined;
      throw new OpError(`${node.opType} starts from a constant state; expected zeros, or values that are computed`);
    }
    const view = this.#viewOf(name);
    const axis = timeFirst ? 0 : 1;
    if (view === undefined || viewShape(view).length !== 3 || viewShape(view)[axis] !== reverse.length) {
      const shape = view && viewShape(view);
      throw new OpError(`${node.opType} has a state of shape [${shape}]; expected ${reverse.length} on axis ${axis}`);
    }
    if (reverse.length === 1) return materialized(squeezedView(view, [axis])!, builder);
    const bounds = { starts: [direction], ends: [direction + 1], axes: [axis], steps: [1] };
    const own = builder.op('slice', node.name, [materialized(view, builder)], bounds);
    return materialized(squeezedView(plainView(node.name, own, builder.shape(own)), [axis])!, builder);
  }

  /** The node's results: y of all directions side by side, and the states. */
  #setOutputs({ node, timeFirst }: RecurrentNode, unrolled: readonly Unrolled[]): void {
    const { builder } = this.#host;
    const [first, second] = unrolled;
    const joined = (a: number, b: number | undefined, axis: number): number =>
      b === undefined ? a : builder.op('concat', node.name, [a, b], { axis });
    const [samples, units] = builder.shape(first!.hidden);
    const steps = first!.results.reduce((sum, id) => sum + builder.shape(id)[1]!, 0);
    const directions = second === undefined ? [] : [unrolled.length];
    const set = (output: number, factors: Shape, order: AxisView['axes'], pieces: () => readonly number[]): void => {
      const name = node.outputs[output] ?? '';
      if (name !== '') this.#views.set(name, { name: node.name, pieces: once(pieces), factors, axes: order });
    };
    // Factors of y: samples, steps, directions where there are two, units.
    const [direction, last] = second === undefined ? [[], [2]] : [[2], [3]];
    set(
      0,
      [samples!, steps, ...directions, units!],
      timeFirst ? [[1], direction, [0], last] : [[0], [1], direction, last],
      () => first!.results.map((id, group) => joined(id, second?.results[group], 2)),
    );
    const [stateDirection, stateLast] = second === undefined ? [[], [1]] : [[1], [2]];
    const stateOrder = timeFirst ? [stateDirection, [0], stateLast] : [[0], stateDirection, stateLast];
    for (const [output, state] of (['hidden', 'memory'] as const).entries()) {
      const id = first![state];
      if (id === undefined) continue;
      set(output + 1, [samples!, ...directions, units!], stateOrder, () => [joined(id, second?.[state], 1)]);
    }
  }
}

function floatsOf(tensor: OnnxTensor | undefined): Float32Array {
  return tensor?.data instanceof Float32Array ? tensor.data : new Float32Array();
}

/** The function, called at most once. */
function once<T>(make: () => T): () => T {
  let made: { readonly value: T } | undefined;
  return () => (made ??= { value: make() }).value;
}
