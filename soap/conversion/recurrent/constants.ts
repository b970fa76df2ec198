import type { OnnxNode, OnnxTensor } from '../../onnx/model.ts';
import { isFoldedName } from '../trained.ts';
import { rearrange, REARRANGING } from './rearrange.ts';
import type { Rearranged } from './weight-runs.ts';
import { elementsOf, wholeConstant } from './weight-runs.ts';

/** The constants of a file, and what nodes put together from them, which is not made before somebody asks for its elements. */
export class RearrangedConstants {
  /** By ONNX name, of the file and of folding. */
  readonly #constants: ReadonlyMap<string, OnnxTensor>;
  /** Names of those that training changes. */
  readonly #trained: ReadonlySet<string>;
  readonly #rearranged = new Map<string, Rearranged>();

  constructor(constants: ReadonlyMap<string, OnnxTensor>, trained: ReadonlySet<string>) {
    this.#constants = constants;
    this.#trained = trained;
  }

  /** An input of a node that is a constant as it stands in the file. */
  plain({ inputs }: OnnxNode, input: number): OnnxTensor | undefined {
    return this.#constants.get(inputs[input] ?? '');
  }

  /** Floats, as they are or rearranged. */
  get(name: string): Rearranged | undefined {
    const constant = this.#constants.get(name);
    return constant?.dtype === 'float32' ? wholeConstant(name, constant.shape) : this.#rearranged.get(name);
  }

  /** Takes a node that does nothing but rearrange constants. Returns whether it is one. */
  add(node: OnnxNode): boolean {
    if (!REARRANGING.has(node.opType)) return false;
    const rearranged = rearrange(
      node,
      (input) => this.get(node.inputs[input] ?? ''),
      (input) => this.plain(node, input),
      (value) => this.isZero(value),
    );
    if (rearranged !== undefined) this.#rearranged.set(node.outputs[0] ?? '', rearranged);
    return rearranged !== undefined;
  }

  /** Forgets what a node made. */
  delete(name: string): void {
    this.#rearranged.delete(name);
  }

  /** Elements of a constant of the file. */
  sizeOf(name: string): number {
    return this.#constants.get(name)?.data.length ?? 0;
  }

  /** Whether all elements are zeros, and stay so. */
  isZero(value: Rearranged): boolean {
    if (this.isLearned(value)) return false;
    return value.runs.every(({ source, start, length }) => {
      const data = source === undefined ? undefined : this.#constants.get(source)!.data;
      return data === undefined || data.subarray(start, start + length).every((each) => Number(each) === 0);
    });
  }

  /** Whether elements are of what a module holds, which training changes, whatever they are at first. */
  isLearned({ runs }: Rearranged): boolean {
    return runs.some(({ source = '' }) => this.#trained.has(source) && !isFoldedName(source));
  }

  elements(value: Rearranged): Float32Array {
    return elementsOf(value, (name) => {
      const data = this.#constants.get(name)?.data;
      return data instanceof Float32Array ? data : new Float32Array();
    });
  }
}
