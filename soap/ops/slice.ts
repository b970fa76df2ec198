import type { Attributes, Shape } from '../graph/graph.ts';
import type { OnnxNode } from '../onnx/model.ts';
import type { Interval, Region } from '../region/region.ts';
import { regionShape } from '../region/region.ts';
import { elementwiseDimensions } from './elementwise.ts';
import type { Emitter, Value } from './emitter.ts';
import { nodeAxes } from './node-axes.ts';
import type { ImportContext, OpDefinition } from './op.ts';
import { integerList, OpError, sameDtype } from './op.ts';

/** Which elements of an axis a slice takes: `count` from `start` on, every `step`-th, backwards where negative. */
interface Cut {
  readonly start: number;
  readonly step: number;
  readonly count: number;
}

/**
 * A regular selection of elements, as numpy's x[start:end:step]: attributes starts, ends, and where they are not all axes in
 * order, axes, and where not 1, steps. Every axis of the output splits.
 */
export const slice: OpDefinition = {
  kind: 'slice',
  onnxTypes: ['Slice'],
  fromOnnx(node, context) {
    const shape = context.shape(0);
    const starts = listOf(node, context, 'starts', 1);
    const ends = listOf(node, context, 'ends', 2);
    if (starts === undefined || ends === undefined)
      throw new OpError('Slice has bounds that are computed; expected constants');
    const axes = nodeAxes(node, listOf(node, context, 'axes', 3) ?? [...starts.keys()], shape.length);
    const steps = listOf(node, context, 'steps', 4) ?? starts.map(() => 1);
    const { file, job } = context.batch;
    // A slice of the whole batch is one whatever the batch.
    const scaled = ends.map((end, i) => (axes[i] === 0 && end === file && shape[0] === job ? job : end));
    return { attributes: canonical(shape, { starts, ends: scaled, axes, steps }), inputs: [0] };
  },
  outputShapes([shape = []], attributes) {
    return [cutsOf(shape, attributes).map(({ count }) => count)];
  },
  outputDtypes: sameDtype,
  integerInputs: 'all',
  dimensions: elementwiseDimensions,
  inputRegion({ inputs, attributes }, output): Region {
    return cutsOf(inputs[0]!, attributes).map(({ start, step }, axis): Interval => {
      const [first, last] = [start + output[axis]![0] * step, start + (output[axis]![1] - 1) * step];
      return [Math.min(first, last), Math.max(first, last) + 1];
    });
  },
  forwardFlops: () => 0,
  backwardFlops: () => 0,
  /** A part's box ends at the first and last element it takes, so that only the steps are left to do. */
  forward(emit, { signature, output }) {
    const x = emit.input(0);
    const steps = cutsOf(signature.inputs[0]!, signature.attributes).map(({ step }) => step);
    emit.setOutput(0, everyNth(emit, x, steps, regionShape(output)));
  },
  backward(emit, { signature, inputs }) {
    const steps = cutsOf(signature.inputs[0]!, signature.attributes).map(({ step }) => step);
    emit.setGradInput(0, spread(emit, emit.gradOutput(0), steps, regionShape(inputs[0]!)));
  },
  toOnnx(emit, { signature, output }) {
    const { starts, ends, axes, steps } = listsOf(signature.inputs[0]!, signature.attributes);
    const bounds = [starts, ends, axes, steps].map((values) => emit.ints(values));
    emit.setOutput(0, emit.node('Slice', [emit.input(0), ...bounds], regionShape(output)));
  },
};

interface Lists {
  readonly starts: readonly number[];
  readonly ends: readonly number[];
  readonly axes: readonly number[];
  readonly steps: readonly number[];
}

/** Ends and starts within the axis, axes from the start; whole axes are left out. */
function canonical(shape: Shape, lists: Lists): Attributes {
  const cuts = cutsOf(shape, { ...lists });
  const axes = [...shape.keys()].filter((axis) => {
    const { start, step, count } = cuts[axis]!;
    return start !== 0 || step !== 1 || count !== shape[axis];
  });
  return {
    starts: axes.map((axis) => cuts[axis]!.start),
    ends: axes.map((axis) => {
      const { start, step, count } = cuts[axis]!;
      const end = start + (count - 1) * step + Math.sign(step);
      // Backwards to the first element: -1 would count from the end.
      return end < 0 ? -shape[axis]! - 1 : end;
    }),
    axes,
    steps: axes.map((axis) => cuts[axis]!.step),
  };
}

function listsOf(shape: Shape, attributes: Attributes): Lists {
  const list = (name: string, otherwise: readonly number[]): readonly number[] => {
    const value = attributes[name];
    return Array.isArray(value) ? value : otherwise;
  };
  const starts = list('starts', []);
  const ends = list('ends', []);
  const axes = list('axes', [...starts.keys()]);
  const steps = list(
    'steps',
    starts.map(() => 1),
  );
  const equal = [ends, axes, steps].every((each) => each.length === starts.length);
  if (!equal || axes.some((axis) => axis < 0 || axis >= shape.length) || new Set(axes).size < axes.length) {
    throw new OpError(
      `Slice has starts [${starts}], ends [${ends}], axes [${axes}] and steps [${steps}] for an input of shape [${shape}]; ` +
        'expected lists of equal length, of axes that it has',
    );
  }
  return { starts, ends, axes, steps };
}

/** By axis. Source: https://onnx.ai/onnx/operators/onnx__Slice.html, which clamps as numpy does. */
function cutsOf(shape: Shape, attributes: Attributes): Cut[] {
  const { starts, ends, axes, steps } = listsOf(shape, attributes);
  return shape.map((extent, axis): Cut => {
    const i = axes.indexOf(axis);
    if (i < 0) return { start: 0, step: 1, count: extent };
    const step = steps[i]!;
    const bound = (at: number, low: number, high: number): number =>
      Math.min(Math.max(at < 0 ? at + extent : at, low), high);
    const start = step > 0 ? bound(starts[i]!, 0, extent) : bound(starts[i]!, 0, extent - 1);
    const end = step > 0 ? bound(ends[i]!, 0, extent) : bound(ends[i]!, -1, extent - 1);
    const count = Math.ceil((end - start) / step);
    if (!(count >= 1 && Number.isFinite(count))) {
      throw new OpError(
        `Slice takes [${starts[i]}:${ends[i]}:${step}] of an axis of ${extent}; expected some elements`,
      );
    }
    return { start, step, count };
  });
}

function everyNth(emit: Emitter, x: Value, steps: readonly number[], shape: readonly number[]): Value {
  const axes = [...steps.keys()].filter((axis) => steps[axis] !== 1 && x.shape[axis]! > 1);
  if (axes.length === 0) return x;
  const starts = axes.map((axis) => (steps[axis]! > 0 ? 0 : x.shape[axis]! - 1));
  const ends = axes.map((axis) => (steps[axis]! > 0 ? x.shape[axis]! : -x.shape[axis]! - 1));
  const bounds = [starts, ends, axes, axes.map((axis) => steps[axis]!)].map((values) => emit.ints(values));
  return emit.node('Slice', [x, ...bounds], shape);
}

/** Puts zeros between the elements, so that a slice with these steps would take them again. */
function spread(emit: Emitter, dy: Value, steps: readonly number[], shape: readonly number[]): Value {
  const backwards = steps.map((step) => Math.sign(step));
  let spaced = everyNth(emit, dy, backwards, dy.shape);
  for (const [axis, signed] of steps.entries()) {
    const [step, count] = [Math.abs(signed), spaced.shape[axis]!];
    if (step === 1 || count === 1) continue;
    // [count] -> [count, 1] -> [count, step] -> [count * step] -> without the zeros after the last element.
    const column = emit.reshape(spaced, spaced.shape.toSpliced(axis + 1, 0, 1));
    const pads = column.shape.flatMap(() => [0, 0]).with(column.shape.length + axis + 1, step - 1);
    const padded = emit.node('Pad', [column, emit.ints(pads), emit.scalar(0)], column.shape.with(axis + 1, step));
    const joined = emit.reshape(padded, spaced.shape.with(axis, count * step));
    const bounds = [[0], [shape[axis]!], [axis]].map((values) => emit.ints(values));
    spaced = emit.node('Slice', [joined, ...bounds], joined.shape.with(axis, shape[axis]!));
  }
  return spaced;
}

/** A list that is an attribute up to operator set 9, an input since. */
function listOf(node: OnnxNode, context: ImportContext, name: string, input: number): number[] | undefined {
  const attribute = node.attributes[name];
  if (attribute?.type === 'ints') return [...attribute.value];
  const constant = context.constant(input);
  return constant && integerList(constant);
}
