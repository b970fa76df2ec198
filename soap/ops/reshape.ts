import type { Shape } from '../graph/graph.ts';
import type { OnnxNode } from '../onnx/model.ts';
import type { Interval, Region } from '../region/region.ts';
import { regionShape } from '../region/region.ts';
import { axisName } from './elementwise.ts';
import { nodeAxes } from './node-axes.ts';
import type { Dimension, ImportContext, ImportedOp, OpDefinition } from './op.ts';
import { integerList, numbersAttribute, OpError, sameDtype } from './op.ts';
import { rebatched } from './rebatch.ts';
import { elementCount } from '../onnx/indexing.ts';
import { greatestCommonDivisor } from '../region/divisors.ts';

/**
 * The same elements, row-major, in another shape. An axis splits where a part of it is a box on both sides: as often as the
 * first axes of a {@link Block} both divide.
 */
export const reshape: OpDefinition = {
  kind: 'reshape',
  onnxTypes: ['Reshape', 'Squeeze', 'Unsqueeze'],
  fromOnnx(node, context) {
    const [from, to] = [context.shape(0), targetShape(node, context)];
    return { ...asFlatten(from, to), inputs: [0] };
  },
  outputShapes([from = []], attributes) {
    const to = numbersAttribute(attributes, 'shape');
    if (elementCount(from) !== elementCount(to) || to.some((extent) => extent < 1)) {
      throw new OpError(`Reshape makes [${to}] of shape [${from}]; expected as many elements`);
    }
    return [to];
  },
  outputDtypes: sameDtype,
  integerInputs: 'all',
  dimensions({ inputs, outputs }): readonly Dimension[] {
    const [from, to] = [inputs[0]!, outputs[0]!];
    return blocks(from, to).flatMap((block): Dimension[] => {
      const [first, axis] = [block.from[0]!, block.to[0]!];
      const sample = first === 0;
      const name = sample ? 'sample' : axis === 0 ? 'axis0' : axisName(axis, to.length);
      return [
        { name, kind: sample ? 'sample' : 'attribute', size: greatestCommonDivisor(from[first]!, to[axis]!), axis },
      ];
    });
  },
  inputRegion({ inputs, outputs }, output): Region {
    const [from, to] = [inputs[0]!, outputs[0]!];
    const region = from.map((extent): Interval => [0, extent]);
    for (const block of blocks(from, to)) {
      const [first, axis] = [block.from[0]!, block.to[0]!];
      const [start, end] = output[axis]!;
      region[first] = [(start * from[first]!) / to[axis]!, (end * from[first]!) / to[axis]!];
    }
    return region;
  },
  forwardFlops: () => 0,
  backwardFlops: () => 0,
  forward: (emit, part) => emit.setOutput(0, emit.reshape(emit.input(0), regionShape(part.output))),
  backward: (emit, part) => emit.setGradInput(0, emit.reshape(emit.gradOutput(0), regionShape(part.inputs[0]!))),
  /** The extent that has the batch in it is -1, or 0 where it is one of the input at the same place. */
  toOnnx(emit, { signature }, { inputs: [read], outputs: [samples] }) {
    const [from, to] = [signature.inputs[0]!, signature.outputs[0]!];
    const isCopied = samples !== undefined && samples === read && from[samples] === to[samples];
    const target = samples === undefined ? to : to.with(samples, isCopied ? 0 : -1);
    emit.setOutput(0, emit.node('Reshape', [emit.input(0), emit.ints(target)], to));
  },
};

/** Axes of both shapes that hold the same elements: a run of input axes becomes a run of output axes. */
interface Block {
  readonly from: readonly number[];
  readonly to: readonly number[];
}

/** Cuts two shapes of equal volume into the smallest blocks; axes of extent 1 are left out. */
function blocks(from: Shape, to: Shape): Block[] {
  const [left, right] = [from, to].map((shape) => [...shape.keys()].filter((axis) => shape[axis] !== 1));
  const found: Block[] = [];
  for (let [i, j] = [0, 0]; i < left!.length && j < right!.length;) {
    const [a, b] = [[left![i]!], [right![j]!]];
    let [sizeOfA, sizeOfB] = [from[left![i++]!]!, to[right![j++]!]!];
    while (sizeOfA !== sizeOfB) {
      if (sizeOfA < sizeOfB) {
        a.push(left![i]!);
        sizeOfA *= from[left![i++]!]!;
      } else {
        b.push(right![j]!);
        sizeOfB *= to[right![j++]!]!;
      }
    }
    found.push({ from: a, to: b });
  }
  return found;
}

/** The shape that a Reshape, Squeeze or Unsqueeze makes. */
function targetShape(node: OnnxNode, context: ImportContext): number[] {
  const from = context.shape(0);
  if (node.opType === 'Reshape') return reshaped(node, context);
  const attribute = node.attributes['axes'];
  const listed = attribute?.type === 'ints' ? attribute.value : integers(context, 1);
  if (node.opType === 'Squeeze') {
    const axes = listed && nodeAxes(node, listed, from.length);
    return from.filter((extent, axis) => (axes === undefined ? extent !== 1 : !axes.includes(axis)));
  }
  if (listed === undefined) throw new OpError('Unsqueeze has axes that are computed; expected constants');
  const rank = from.length + listed.length;
  const added = nodeAxes(node, listed, rank);
  const kept = from.values();
  return Array.from({ length: rank }, (_, axis) => (added.includes(axis) ? 1 : (kept.next().value ?? 1)));
}

/**
 * The target of a Reshape: 0 copies an extent, -1 takes what is left, and the batch of the file, alone or as a factor,
 * becomes that of the job. Source: https://onnx.ai/onnx/operators/onnx__Reshape.html
 */
function reshaped(node: OnnxNode, context: ImportContext): number[] {
  const from = context.shape(0);
  const listed = integers(context, 1);
  if (listed === undefined) throw new OpError('Reshape has a shape that is computed; expected a constant');
  const allowZero = node.attributes['allowzero'];
  const copies = !(allowZero?.type === 'int' && allowZero.value === 1);
  const targetOf = (shape: Shape): number[] =>
    listed.map((extent, axis) => (extent === 0 && copies ? (shape[axis] ?? 0) : extent));
  const { file } = context.batch;
  const inFile = context.fileShape(0);
  const sure = inFile && file && rebatched(targetOf(inFile), { file: inFile, job: from }, file);
  const to = sure || likely(targetOf(from), elementCount(from), context.batch);
  const known = elementCount(to.filter((extent) => extent !== -1));
  return to.map((extent) => (extent === -1 ? elementCount(from) / known : extent));
}

/** Puts the job's batch where a shape that does not fit has the file's. */
function likely(to: readonly number[], elements: number, { file, job }: ImportContext['batch']): readonly number[] {
  const open = to.includes(-1);
  const fits = (shape: readonly number[]): boolean => {
    const known = elementCount(shape.filter((extent) => extent !== -1));
    return open ? elements % known === 0 : elements === known;
  };
  if (file === undefined || file === job || (!open && fits(to))) return to;
  const scaled = (axis: number): readonly number[] => to.with(axis, (to[axis]! / file) * job);
  const axes = [...to.keys()].filter((axis) => to[axis]! > 0 && to[axis]! % file === 0);
  const exact = axes.filter((axis) => to[axis] === file && (axis === 0 || !open));
  return [...exact, ...(open ? [] : axes)].map(scaled).find(fits) ?? to;
}

/** [N, ...] -> [N, rest] is the op `flatten`. */
function asFlatten(from: Shape, to: Shape): Pick<ImportedOp, 'kind' | 'attributes'> {
  const flat = from.length >= 2 && to.length === 2 && to[0] === from[0];
  return flat ? { kind: 'flatten', attributes: {} } : { attributes: { shape: to } };
}

function integers(context: ImportContext, input: number): number[] | undefined {
  const constant = context.constant(input);
  return constant && integerList(constant);
}
