import type { OnnxNode } from '../../onnx/model.ts';
import type { ImportContext } from '../../ops/op.ts';
import { OpError } from '../../ops/op.ts';
import type { NodeWriter } from './writer.ts';
import { nodeWriter } from './writer.ts';

/** An operand of a product: the node input that it is, and a letter for each of its axes. */
interface Operand {
  readonly input: number;
  readonly letters: readonly string[];
}

/** An einsum of two operands as a matrix product: which letters are what. */
interface Product {
  /** The operand that has the first axis of the result. */
  readonly left: Operand;
  readonly right: Operand;
  readonly output: readonly string[];
  /** In both operands and the result; in one and the result; in both operands alone. */
  readonly batch: readonly string[];
  readonly rows: readonly string[];
  readonly columns: readonly string[];
  readonly width: readonly string[];
}

/**
 * An Einsum of two operands as Transpose, Reshape and MatMul; of more, as Einsums of two, from the left.
 * @throws {OpError} for one operand, ellipses, diagonals, and letters that one operand alone has
 */
export function einsumAsProduct(node: OnnxNode, context: ImportContext): readonly OnnxNode[] {
  const pairs = pairsOf(node);
  if (pairs !== undefined) return pairs;
  const product = productOf(node);
  const extents = new Map<string, number>();
  for (const { input, letters } of [product.left, product.right]) {
    const shape = context.shape(input);
    if (shape.length !== letters.length) {
      throw new OpError(`Einsum calls the axes of shape [${shape}] '${letters.join('')}'; expected a letter for each`);
    }
    letters.forEach((letter, axis) => extents.set(letter, shape[axis]!));
  }
  const writer = new Writer(node, extents);
  const { left, right, batch, rows, columns, width, output } = product;
  // Rows stay apart where nothing else is before them: then the product may be that of a layer.
  const rowGroups = batch.length === 0 ? rows.map((row) => [row]) : [rows];
  const a = writer.arranged(node.inputs[left.input]!, left.letters, [
    ...batch.map((each) => [each]),
    ...rowGroups,
    width,
  ]);
  const b = writer.arranged(node.inputs[right.input]!, right.letters, [...batch.map((each) => [each]), width, columns]);
  const result = writer.product(a, b);
  const letters = [...batch, ...rows, ...columns];
  const isMerged = (batch.length > 0 && rows.length !== 1) || columns.length !== 1;
  return writer.finish(
    isMerged
      ? writer.reshaped(
          result,
          letters.map((each) => [each]),
        )
      : result,
    letters,
    output,
  );
}

/** Einsums of two operands each, which keep the letters that the result or a later operand has. */
function pairsOf(node: OnnxNode): readonly OnnxNode[] | undefined {
  const match = /^([A-Za-z]+(?:,[A-Za-z]+){2,})->([A-Za-z]*)$/.exec(equationOf(node));
  const operands = match?.[1]!.split(',');
  if (match === null || operands?.length !== node.inputs.length) return undefined;
  const writer = nodeWriter(node);
  let [letters, value] = [operands[0]!, node.inputs[0]!];
  operands.slice(1).forEach((operand, i) => {
    const later = new Set([match[2]!, ...operands.slice(i + 2)].join(''));
    const isLast = i === operands.length - 2;
    const kept = isLast ? match[2]! : [...new Set(letters + operand)].filter((letter) => later.has(letter)).join('');
    const equation = { type: 'string', value: `${letters},${operand}->${kept}` } as const;
    value = writer.add('Einsum', [value, node.inputs[i + 1]!], { equation });
    letters = kept;
  });
  return writer.finish();
}

function equationOf({ attributes }: OnnxNode): string {
  const equation = attributes['equation'];
  return equation?.type === 'string' ? equation.value.replaceAll(' ', '') : '';
}

function productOf(node: OnnxNode): Product {
  const [text, { inputs }] = [equationOf(node), node];
  const match = /^([A-Za-z]+),([A-Za-z]+)(?:->([A-Za-z]*))?$/.exec(text);
  const parts = match?.slice(1, 3).map((part) => Array.from(part));
  if (parts === undefined || inputs.length !== 2 || parts.some((letters) => new Set(letters).size < letters.length)) {
    throw new OpError(
      `Einsum computes '${text}'; expected two operands, with letters that differ within each: 'bij,bjk->bik'`,
    );
  }
  const [first, second] = parts.map((letters, input): Operand => ({ input, letters }));
  const output = match?.[3] === undefined ? implicitOutput(first!.letters, second!.letters) : Array.from(match[3]);
  const left = first!.letters.includes(output[0] ?? '') ? first! : second!;
  const right = left === first ? second! : first!;
  const [inLeft, inRight, inOutput] = [left.letters, right.letters, output].map((letters) => new Set(letters));
  const alone = [...left.letters, ...right.letters].filter(
    (letter) => !inOutput!.has(letter) && !(inLeft!.has(letter) && inRight!.has(letter)),
  );
  if (
    alone.length > 0 ||
    output.some((letter) => !inLeft!.has(letter) && !inRight!.has(letter)) ||
    inOutput!.size < output.length
  ) {
    throw new OpError(`Einsum computes '${text}'; expected every letter twice: sum the others before, with ReduceSum`);
  }
  return {
    left,
    right,
    output,
    batch: output.filter((letter) => inLeft!.has(letter) && inRight!.has(letter)),
    rows: left.letters.filter((letter) => inOutput!.has(letter) && !inRight!.has(letter)),
    columns: right.letters.filter((letter) => inOutput!.has(letter) && !inLeft!.has(letter)),
    width: left.letters.filter((letter) => !inOutput!.has(letter)),
  };
}

/** Without an arrow: the letters that occur once, in the order of the alphabet. */
function implicitOutput(first: readonly string[], second: readonly string[]): string[] {
  return [
    ...first.filter((letter) => !second.includes(letter)),
    ...second.filter((letter) => !first.includes(letter)),
  ].sort();
}

/** Writes the moves of values whose axes have letters. */
class Writer {
  readonly #writer: NodeWriter;
  readonly #extents: ReadonlyMap<string, number>;

  constructor(node: OnnxNode, extents: ReadonlyMap<string, number>) {
    this.#writer = nodeWriter(node);
    this.#extents = extents;
  }

  product(a: string, b: string): string {
    return this.#writer.add('MatMul', [a, b]);
  }

  /** A value with its axes in this order, those of a group as one axis, 1 for none. */
  arranged(value: string, letters: readonly string[], groups: readonly (readonly string[])[]): string {
    const moved = this.#transposed(value, letters, groups.flat());
    return groups.every((group) => group.length === 1) ? moved : this.reshaped(moved, groups);
  }

  reshaped(value: string, groups: readonly (readonly string[])[]): string {
    const shape = groups.map((group) => group.reduce((product, letter) => product * this.#extents.get(letter)!, 1));
    return this.#writer.add('Reshape', [value, this.#writer.integers(shape)]);
  }

  /** Gives the last value, in the order of the result, the name of the node's output. */
  finish(value: string, letters: readonly string[], output: readonly string[]): readonly OnnxNode[] {
    this.#transposed(value, letters, output);
    return this.#writer.finish();
  }

  #transposed(value: string, letters: readonly string[], order: readonly string[]): string {
    if (letters.join() === order.join()) return value;
    const perm = order.map((letter) => letters.indexOf(letter));
    return this.#writer.add('Transpose', [value], { perm: { type: 'ints', value: perm } });
  }
}
