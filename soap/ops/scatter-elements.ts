import type { Attributes, Shape } from '../graph/graph.ts';
import { elementCount } from '../onnx/indexing.ts';
import { regionShape, regionVolume } from '../region/region.ts';
import { besideAxis, axisOf, requireIndices } from './element-indices.ts';
import { elementwiseDimensions, sameOutputShape } from './elementwise.ts';
import type { Emitter, Value } from './emitter.ts';
import { int } from './emitter.ts';
import type { ImportContext, OpDefinition, OpSignature } from './op.ts';
import { numberAttribute, OpError, sameDtype } from './op.ts';

const [DATA, INDICES, UPDATES] = [0, 1, 2];

/** What becomes of an element that an update is for. */
const REDUCTIONS: readonly string[] = ['none', 'add'];

/**
 * Data with an update for each of `indices`, which say where along an `axis` it belongs; elsewhere it is where its index is: PyTorch's
 * `scatter`, and `scatter_add` where `adds`. The axes split along which there are as many indices as data, but that one.
 */
export const scatterElements: OpDefinition = {
  kind: 'scatterElements',
  onnxTypes: ['ScatterElements'],
  fromOnnx(node, context) {
    const given = node.attributes['reduction'];
    const reduction = given?.type === 'string' ? given.value : 'none';
    if (!REDUCTIONS.includes(reduction))
      throw new OpError(`ScatterElements has reduction '${reduction}'; expected none or add`);
    const attributes = { axis: axisOf(node, context.shape(DATA), 0), adds: reduction === 'add' };
    if (!attributes.adds && repeats(context, attributes.axis)) {
      throw new OpError(
        'ScatterElements has several updates for one element, of which only the last would count; expected one, or reduction add: ' +
          "PyTorch's older exporter writes index_add so; write it as scatter_add, and export with opset_version=16 or newer",
      );
    }
    return { attributes, inputs: [DATA, INDICES, UPDATES] };
  },
  outputShapes([data = [], indices = [], updates = []], attributes) {
    requireIndices('ScatterElements', data, indices, numberAttribute(attributes, 'axis'));
    if (indices.join() !== updates.join())
      throw new OpError(`ScatterElements has indices [${indices}] and updates [${updates}]; expected equal shapes`);
    return sameOutputShape([data]);
  },
  outputDtypes: sameDtype,
  integerInputs: 'all',
  dimensions(signature) {
    const all = besideAxis(elementwiseDimensions(signature), numberAttribute(signature.attributes, 'axis'));
    return all.filter(({ axis }) => splitsAlong(signature, axis!));
  },
  inputRegion(signature, output, input) {
    const shape = signature.inputs[input]!;
    if (input === DATA) return output;
    return output.map((interval, k) => (splitsAlong(signature, k) ? interval : [0, shape[k]!]));
  },
  forwardFlops: (part) => regionVolume(part.inputs[UPDATES]!),
  backwardFlops: (part) => regionVolume(part.output),
  forward(emit, { signature: { attributes } }) {
    const operands = [emit.input(DATA), emit.input(INDICES), emit.input(UPDATES)];
    emit.setOutput(0, scattered(emit, operands, attributes));
  },
  /** What an update replaces has no gradient. */
  backward(emit, part) {
    const { attributes } = part.signature;
    const dy = emit.gradOutput(0);
    if (emit.wantsGradInput(DATA))
      emit.setGradInput(DATA, dataGradient(emit, dy, regionShape(part.inputs[UPDATES]!), attributes));
    if (!emit.wantsGradInput(UPDATES)) return;
    const axis = int(numberAttribute(attributes, 'axis'));
    const shape = regionShape(part.inputs[UPDATES]!);
    emit.setGradInput(UPDATES, emit.node('GatherElements', [dy, emit.input(INDICES)], shape, { axis }));
  },
};

/**
 * Whether indices that are known name an element twice. Of updates that are known, too, which are often all equal, none is computed in vain.
 * Source: ONNX leaves it undefined, https://onnx.ai/onnx/operators/onnx__ScatterElements.html.
 */
function repeats(context: ImportContext, axis: number): boolean {
  const indices = context.constant(INDICES);
  if (indices === undefined || context.constant(UPDATES) !== undefined) return false;
  const extent = context.shape(DATA)[axis]!;
  const stride = elementCount(indices.shape.slice(axis + 1));
  const length = stride * indices.shape[axis]!;
  const named = new Set<number>();
  return Array.from(indices.data, Number).some((index, i) => {
    const line = Math.floor(i / length) * stride + (i % stride);
    const element = line * extent + (index < 0 ? index + extent : index);
    if (named.has(element)) return true;
    named.add(element);
    return false;
  });
}

/** Whether a piece of the output along an axis takes that piece of indices and updates, and no other. */
function splitsAlong({ attributes, inputs }: OpSignature, axis: number): boolean {
  return axis !== numberAttribute(attributes, 'axis') && inputs[INDICES]![axis] === inputs[DATA]![axis];
}

function scattered(emit: Emitter, operands: readonly Value[], attributes: Attributes): Value {
  const axis = int(numberAttribute(attributes, 'axis'));
  const reduction = { type: 'string', value: 'add' } as const;
  return emit.node(
    'ScatterElements',
    operands,
    operands[DATA]!.shape,
    attributes['adds'] === true ? { axis, reduction } : { axis },
  );
}

function dataGradient(emit: Emitter, dy: Value, updates: Shape, attributes: Attributes): Value {
  if (attributes['adds'] === true) return dy;
  return scattered(emit, [dy, emit.input(INDICES), emit.zeros(updates)], attributes);
}
