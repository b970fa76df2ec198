import test from 'ava';
import { createReferenceEngine } from '../../runtime/kernels/reference/engine.ts';
import { runForward } from '../support/run-graph.ts';
import { f32 } from '../support/kernel-graphs.ts';
import { imported, node, problemsOf } from '../support/onnx-graphs.ts';

const EXTENTS: Readonly<Record<string, number>> = { b: 2, h: 3, i: 4, j: 5, d: 6, e: 2 };
const sizeOf = (letters: string): number =>
  Array.from(letters).reduce((product, letter) => product * EXTENTS[letter]!, 1);
const shapeOf = (letters: string): number[] => Array.from(letters, (letter) => EXTENTS[letter]!);

/** The definition: for every value of all letters, a product that is added to where the result's letters say. */
function naive(first: string, second: string, output: string, a: Float32Array, b: Float32Array): number[] {
  const letters = [...new Set(first + second)];
  const result = Array.from({ length: sizeOf(output) }, () => 0);
  for (let at = 0; at < sizeOf(letters.join('')); at++) {
    const values = new Map<string, number>();
    let rest = at;
    for (const letter of letters) {
      values.set(letter, rest % EXTENTS[letter]!);
      rest = Math.floor(rest / EXTENTS[letter]!);
    }
    const place = (names: string): number =>
      Array.from(names).reduce((sum, letter) => sum * EXTENTS[letter]! + values.get(letter)!, 0);
    result[place(output)]! += a[place(first)]! * b[place(second)]!;
  }
  return result;
}

const EQUATIONS = [
  ['bid', 'bjd', 'bij'],
  ['bhid', 'bhjd', 'bhij'],
  ['bhij', 'bhjd', 'bihd'],
  ['bihd', 'bjhd', 'bhij'],
  ['bid', 'de', 'bie'],
  ['bid', 'dhe', 'bihe'],
  ['bihd', 'hde', 'bie'],
  ['de', 'bid', 'bei'],
  ['bi', 'bi', 'b'],
  ['bi', 'bj', 'bij'],
] as const;

for (const [first, second, output] of EQUATIONS) {
  test(`Einsum ${first},${second}->${output} is what its definition says`, async (t) => {
    const operands = [first, second].map((letters, place) => ({
      name: `x${place}`,
      letters,
      values: Float32Array.from({ length: sizeOf(letters) }, (_, i) => (i % 7) - 3),
    }));
    const [inputs, weights] = [true, false].map((isInput) =>
      operands.filter(({ letters }) => letters.startsWith('b') === isInput),
    );
    const model = imported({
      nodes: [node('Einsum', ['x0', 'x1'], 'y', { equation: `${first},${second}->${output}` })],
      inputs: Object.fromEntries(inputs!.map(({ name, letters }) => [name, shapeOf(letters)])),
      weights: Object.fromEntries(
        weights!.map(({ name, letters, values }) => [name, f32(shapeOf(letters), [...values])]),
      ),
    });
    const given = new Map(inputs!.map(({ name, values }) => [name, values]));
    const got = await runForward(model, given, createReferenceEngine());
    const [a, b] = operands;
    t.deepEqual(Array.from(got, Number), naive(first, second, output, a!.values, b!.values));
  });
}

const REFUSED: readonly (readonly [equation: string, message: RegExp])[] = [
  ['bii,bij->bj', /expected two operands, with letters that differ within each/],
  ['...d,de->...e', /expected two operands/],
  ['bid,bje->bie', /expected every letter twice: sum the others before/],
];
for (const [equation, message] of REFUSED) {
  test(`Einsum ${equation} is refused`, (t) => {
    const nodes = [node('Einsum', ['x', 'z'], 'y', { equation })];
    t.regex(problemsOf({ nodes, inputs: { x: [2, 4, 6], z: [2, 5, 6] } }).join(), message);
  });
}
