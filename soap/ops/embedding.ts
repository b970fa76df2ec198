import type { Attributes, Shape } from '../graph/graph.ts';
import type { Interval, Region } from '../region/region.ts';
import { regionShape, regionVolume } from '../region/region.ts';
import { arithmetic } from './arithmetic.ts';
import { rowDimensions } from './elementwise.ts';
import type { Emitter, Value } from './emitter.ts';
import { int } from './emitter.ts';
import type { Dimension, OpDefinition, Part } from './op.ts';
import { OpError } from './op.ts';

const [TOKENS, TABLE] = [0, 1];

/**
 * Rows of a table: tokens int64 [N, T] (or [N], [N, ...]), table [V, W] -> [N, steps, W], the rows of
 * tokens[:, start:start+steps], all of T unless said. Sample; sequence as attribute; channel splits the table by width,
 * vocabulary by rows: its parts hold partial sums, zeros where a token is another part's.
 */
export const embedding: OpDefinition = {
  kind: 'embedding',
  onnxTypes: [],
  fromOnnx() {
    throw new OpError('internal: an embedding is imported by gather');
  },
  weightInputs: [TABLE],
  outputShapes([tokens, table], attributes) {
    if (tokens === undefined || tokens.length === 0 || table?.length !== 2) {
      throw new OpError(`embedding has inputs of shapes [${tokens}] and [${table}]; expected [N, ...] and [V, W]`);
    }
    const steps = stepsOf(tokens, attributes);
    if (steps === undefined) return [[...tokens, table[1]!]];
    if (steps[0] < 0 || steps[0] >= steps[1] || steps[1] > tokens[1]!) {
      throw new OpError(`embedding reads tokens ${steps[0]} to ${steps[1]} of ${tokens[1]}; expected some within`);
    }
    return [[tokens[0]!, steps[1] - steps[0], ...tokens.slice(2), table[1]!]];
  },
  integerInputs: [TOKENS],
  dimensions({ inputs, outputs }): readonly Dimension[] {
    const shape = outputs[0]!;
    return [
      ...rowDimensions(shape),
      { name: 'channel', kind: 'parameter', size: shape.at(-1)!, axis: shape.length - 1 },
      { name: 'vocabulary', kind: 'parameter', size: inputs[TABLE]![0]!, axis: undefined },
    ];
  },
  inputRegion({ inputs, attributes }, output, input, ranges): Region {
    if (input === TABLE) return [ranges.at(-1)!, output.at(-1)!];
    const start = stepsOf(inputs[TOKENS]!, attributes)?.[0] ?? 0;
    return output
      .slice(0, -1)
      .map(([from, to], axis): Interval => (axis === 1 ? [from + start, to + start] : [from, to]));
  },
  forwardFlops: () => 0,
  backwardFlops: (part) => regionVolume(part.output),
  forward(emit, part) {
    const shape = regionShape(part.output);
    if (hasAllRows(part)) {
      emit.setOutput(0, emit.node('Gather', [emit.input(TABLE), emit.input(TOKENS)], shape, { axis: int(0) }));
      return;
    }
    const { rows, own } = ownTokens(emit, part);
    const gathered = emit.node('Gather', [emit.input(TABLE), rows], shape, { axis: int(0) });
    emit.setOutput(0, arithmetic(emit).where(own, gathered, 0));
  },
  backward(emit, part) {
    if (!emit.wantsGradInput(TABLE)) return;
    const [vocabulary, width] = regionShape(part.inputs[TABLE]!);
    const count = regionVolume(part.output) / width!;
    let [rows, dy] = [emit.input(TOKENS), emit.gradOutput(0)];
    if (!hasAllRows(part)) {
      const tokens = ownTokens(emit, part);
      [rows, dy] = [tokens.rows, arithmetic(emit).where(tokens.own, dy, 0)];
    }
    const shape = [vocabulary!, width!];
    const zeros = emit.zeros(shape);
    const updates = [emit.reshape(rows, [count, 1]), emit.reshape(dy, [count, width!])];
    const reduction = { type: 'string', value: 'add' } as const;
    emit.setGradInput(TABLE, emit.node('ScatterND', [zeros, ...updates], shape, { reduction }));
  },
  toOnnx(emit, part) {
    const [tokens, shape] = [emit.input(TOKENS), regionShape(part.output)];
    const steps = stepsOf(tokens.shape, part.signature.attributes);
    const all = steps === undefined || steps[1] - steps[0] === tokens.shape[1];
    const bounds = all ? [] : [[steps[0]], [steps[1]], [1]].map((values) => emit.ints(values));
    const read = all ? tokens : emit.node('Slice', [tokens, ...bounds], shape.slice(0, -1));
    emit.setOutput(0, emit.node('Gather', [emit.input(TABLE), read], shape, { axis: int(0) }));
  },
};

/** The steps that are read, where tokens have a sequence. */
function stepsOf(tokens: Shape, { start, steps }: Attributes): Interval | undefined {
  if (tokens.length < 2) return undefined;
  const first = typeof start === 'number' ? start : 0;
  return [first, typeof steps === 'number' ? first + steps : tokens[1]!];
}

function hasAllRows({ inputs, signature }: Part): boolean {
  const [start, end] = inputs[TABLE]![0]!;
  return end - start === signature.inputs[TABLE]![0]!;
}

/** Tokens as rows of the part's piece of the table, any row where it is another's; and which are its own, [..., 1]. */
function ownTokens(emit: Emitter, part: Part): { rows: Value; own: Value } {
  const [start, end] = part.inputs[TABLE]![0]!;
  const tokens = tokensFromStart(emit, part.signature.inputs[TABLE]![0]!);
  const shifted = emit.node('Sub', [tokens, emit.int(start)], tokens.shape);
  const rows = emit.node('Clip', [shifted, emit.int(0), emit.int(end - start - 1)], tokens.shape);
  const own = emit.node('Equal', [shifted, rows], tokens.shape, {}, { dtype: 'bool' });
  return { rows, own: emit.reshape(own, [...tokens.shape, 1]) };
}

/** Tokens counted from the first row of the whole table: ones that are computed may count from behind the last, below 0. */
function tokensFromStart(emit: Emitter, rows: number): Value {
  const tokens = emit.input(TOKENS);
  if (emit.isFed(TOKENS)) return tokens;
  const math = arithmetic(emit);
  return math.where(math.greater(0, tokens), math.add(tokens, rows), tokens);
}
