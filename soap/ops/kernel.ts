import type { Graph, Op } from '../graph/graph.ts';
import type { OnnxGraph } from '../onnx/model.ts';
import type { Interval, Region } from '../region/region.ts';
import { regionShape, wholeRegion } from '../region/region.ts';
import type { KernelFrame, Value } from './emitter.ts';
import { ALONE, Emitter } from './emitter.ts';
import { opDefinition } from './index.ts';
import type { Dimension, OpDefinition, Part, SampleAxes, Statistics } from './op.ts';
import { opSignature } from './op.ts';

/** The part of an op that has an interval of each of its dimensions. */
export function opPart(graph: Graph, op: Op, ranges: readonly Interval[]): Part {
  const signature = opSignature(graph, op);
  const definition = opDefinition(op.kind);
  const output = outputBox(signature.outputs[0]!, definition.dimensions(signature), ranges);
  return {
    signature,
    ranges,
    output,
    outputs: op.outputs.map((_, index) =>
      index === 0 ? output : (definition.outputRegion?.(signature, output, index) ?? output),
    ),
    inputs: op.inputs.map((_, input) => definition.inputRegion(signature, output, input, ranges)),
  };
}

/** An op in one part. */
export function wholePart(graph: Graph, op: Op): Part {
  const dimensions = opDefinition(op.kind).dimensions(opSignature(graph, op));
  return opPart(
    graph,
    op,
    dimensions.map(({ size }): Interval => [0, size]),
  );
}

/** The box of an output that intervals of dimensions cut out; a dimension may count units of several elements. */
function outputBox(shape: readonly number[], dimensions: readonly Dimension[], ranges: readonly Interval[]): Region {
  const box = [...wholeRegion(shape)];
  dimensions.forEach(({ axis, size }, index) => {
    if (axis === undefined) return;
    const unit = shape[axis]! / size;
    const [start, end] = ranges[index]!;
    box[axis] = [start * unit, end * unit];
  });
  return box;
}

/** The kernels of one direction of a part: those of a part that exchanges statistics are two. */
export interface PassKernels {
  /** Writes `statistics`; undefined where the part exchanges none. */
  readonly statistics: OnnxGraph | undefined;
  readonly main: OnnxGraph;
}

/** The kernels of a part, with what the forward one keeps for the backward one. */
export interface PartKernels {
  /** Reads `input0`...; writes `output0`... and `saved0`... */
  readonly forward: PassKernels;
  /** Writes `gradInput0`... for the inputs that want a gradient; undefined where none does. */
  readonly backward: PassKernels | undefined;
}

/**
 * Emits the kernels of a part. A loss, the end of the graph, has a backward kernel that reads no output gradient.
 * @param groupParts parts that exchange statistics with this one, itself included
 */
export function partKernels(
  graph: Graph,
  op: Op,
  part: Part,
  wantsGradInput: readonly boolean[],
  groupParts: number = 1,
): PartKernels {
  const definition = opDefinition(op.kind);
  const frame = forwardFrame(graph, op, part);
  const forward = passKernels('forward', definition, op, part, frame, groupParts);
  if (!wantsGradInput.some((wants, input) => wants && part.inputs[input] !== undefined)) {
    return { forward, backward: undefined };
  }
  const saved = savedValues(forward.main);
  const backward = passKernels('backward', definition, op, part, { ...frame, saved, wantsGradInput }, groupParts);
  return { forward, backward };
}

/**
 * The kernel of a part in inference, which reads `input0`... and, as `saved0`..., values that training keeps up; it writes
 * `output0`... Undefined where inference is the forward pass.
 */
export function inferenceKernel(graph: Graph, op: Op, part: Part): OnnxGraph | undefined {
  const { inference } = opDefinition(op.kind);
  if (inference === undefined) return undefined;
  const saved = savedValues(partKernels(graph, op, part, []).forward.main);
  const emit = new Emitter({ ...forwardFrame(graph, op, part), saved, group: ALONE });
  inference(emit, part);
  return emit.build(`${op.name}.inference`);
}

/** A whole op as nodes for an ONNX file, which read whole tensors; names are those of a kernel. */
export function exportedOp(graph: Graph, op: Op, samples: SampleAxes): OnnxGraph {
  const part = wholePart(graph, op);
  const { toOnnx } = opDefinition(op.kind);
  if (toOnnx === undefined) return partKernels(graph, op, part, []).forward.main;
  const whole = { ...part, inputs: part.signature.inputs.map(wholeRegion) };
  const emit = new Emitter({ ...forwardFrame(graph, op, whole), group: ALONE });
  toOnnx(emit, whole, samples);
  return emit.build(op.name);
}

function forwardFrame(graph: Graph, op: Op, part: Part): Omit<KernelFrame, 'group'> {
  return {
    inputs: op.inputs.map((id, index) => {
      const region = part.inputs[index];
      return region && value(graph, id, `input${index}`, region);
    }),
    fed: op.inputs.map((id) => graph.tensors[id]!.role === 'input'),
    outputs: op.outputs.map((id, index) => value(graph, id, `output${index}`, part.outputs[index]!)),
    saved: [],
    wantsGradInput: [],
  };
}

function passKernels(
  direction: 'forward' | 'backward',
  definition: OpDefinition,
  op: Op,
  part: Part,
  surroundings: Omit<KernelFrame, 'group'>,
  groupParts: number,
): PassKernels {
  const { statistics } = definition;
  const floats = statistics === undefined ? 0 : statisticsSize(statistics, direction, part);
  const frame = { ...surroundings, group: { parts: groupParts, floats } };
  const main = new Emitter(frame);
  if (statistics === undefined || floats === 0) {
    definition[direction](main, part);
    return { statistics: undefined, main: main.build(`${op.name}.${direction}`) };
  }
  if (groupParts === 1) {
    statistics[direction](main, part);
    definition[direction](main, part);
    return { statistics: undefined, main: main.build(`${op.name}.${direction}`) };
  }
  const first = new Emitter(frame);
  statistics[direction](first, part);
  definition[direction](main, part);
  return {
    statistics: first.build(`${op.name}.${direction}.statistics`),
    main: main.build(`${op.name}.${direction}`),
  };
}

/** Floats of a part's statistics in one direction. */
export function statisticsSize(statistics: Statistics, direction: 'forward' | 'backward', part: Part): number {
  return direction === 'forward' ? statistics.forwardSize(part) : statistics.backwardSize(part);
}

function value(graph: Graph, tensor: number, name: string, region: Region): Value {
  return { name, dtype: graph.tensors[tensor]!.dtype, shape: regionShape(region) };
}

function savedValues(forward: OnnxGraph): Value[] {
  return forward.outputs
    .filter(({ name }) => name.startsWith('saved'))
    .map(({ name, dtype, shape }) => ({ name, dtype, shape: shape.filter((extent) => typeof extent === 'number') }));
}
