import type { OnnxNode, OnnxTensor } from '../../onnx/model.ts';
import { nodeAxes } from '../../ops/node-axes.ts';
import type { ImportContext } from '../../ops/op.ts';
import { integerList, OpError } from '../../ops/op.ts';
import type { Sampling } from './interpolation.ts';
import { interpolation, isSampling } from './interpolation.ts';

const [X, , SCALES, SIZES] = [0, 1, 2, 3];

/** Elements of the matrix of an axis beyond which a Resize is refused: 4 Mi, as of an axis of 1448 that is doubled. */
const MAX_MATRIX_ELEMENTS = 2 ** 22;

/** First operator set in which a Resize says how results lie between elements. */
const SAMPLING_OPSET = 11;

/** How far an axis is resized, and to which extent. */
interface Target {
  readonly scale: number;
  readonly extent: number;
}

/**
 * A Resize of the last two axes as a product with a constant matrix for each one that it changes: its rows, or columns, hold what a
 * result takes of each element. So every split and the gradients are those of `matmul`.
 * Source: https://onnx.ai/onnx/operators/onnx__Resize.html
 * @throws {OpError} for other axes, modes, or an extent that is computed
 */
export function resizeAsProducts(node: OnnxNode, context: ImportContext): readonly OnnxNode[] {
  if (context.opset < SAMPLING_OPSET && node.inputs.length <= SCALES) return upsampleAsResize(node);
  const [sampling, shape] = [samplingOf(node), context.shape(X)];
  const targets = targetsOf(node, context);
  const changed = [...shape.keys()].filter((axis) => targets[axis]!.extent !== shape[axis]);
  if (changed.some((axis) => axis === 0 || axis < shape.length - 2)) {
    const extents = targets.map(({ extent }) => extent);
    throw new OpError(`Resize makes [${extents}] of shape [${shape}]; expected changes of the last two axes`);
  }
  if (changed.length === 0) return [{ ...node, opType: 'Identity', inputs: [node.inputs[X]!], attributes: {} }];
  let source = node.inputs[X]!;
  return changed.flatMap((axis, i): OnnxNode[] => {
    const name = `${node.outputs[0]}:${axis}`;
    const output = i === changed.length - 1 ? node.outputs[0]! : name;
    const isLast = axis === shape.length - 1;
    const matrix = matrixOf(shape[axis]!, targets[axis]!, sampling, isLast);
    const inputs = isLast ? [source, `${name}:matrix`] : [`${name}:matrix`, source];
    source = output;
    const value = { type: 'tensor', value: matrix } as const;
    return [
      {
        name: `${name}:matrix`,
        opType: 'Constant',
        domain: '',
        inputs: [],
        outputs: [`${name}:matrix`],
        attributes: { value },
      },
      { name: i === 0 ? node.name : name, opType: 'MatMul', domain: '', inputs, outputs: [output], attributes: {} },
    ];
  });
}

/**
 * An Upsample of operator set 9, or a Resize of 10, which have scales as their second input, as a Resize that says how results lie between
 * the elements. Source: https://onnx.ai/onnx/operators/onnx__Upsample.html
 */
export function upsampleAsResize(node: OnnxNode): readonly OnnxNode[] {
  const [x, scales] = node.inputs;
  const attributes = {
    ...node.attributes,
    coordinate_transformation_mode: { type: 'string', value: 'asymmetric' },
    nearest_mode: { type: 'string', value: 'floor' },
  } as const;
  return [{ ...node, opType: 'Resize', inputs: [x!, '', scales ?? ''], attributes }];
}

/** What each result [out] takes of the elements [in] of an axis: [in, out], or [out, in]. */
function matrixOf(extent: number, target: Target, sampling: Sampling, resultsLast: boolean): OnnxTensor {
  if (extent * target.extent > MAX_MATRIX_ELEMENTS) {
    throw new OpError(
      `Resize makes an axis of ${target.extent} of one of ${extent}; expected a product of at most ${MAX_MATRIX_ELEMENTS}`,
    );
  }
  const data = new Float32Array(extent * target.extent);
  for (let at = 0; at < target.extent; at += 1) {
    for (const { element, share } of interpolation(at, extent, target, sampling)) {
      data[resultsLast ? element * target.extent + at : at * extent + element]! += share;
    }
  }
  return { dtype: 'float32', shape: resultsLast ? [extent, target.extent] : [target.extent, extent], data };
}

function targetsOf(node: OnnxNode, context: ImportContext): Target[] {
  const shape = context.shape(X);
  const given = (input: number): readonly number[] | undefined => {
    const constant = context.constant(input);
    return constant === undefined || constant.data.length === 0 ? undefined : integerList(constant);
  };
  const [scales, sizes] = [given(SCALES), given(SIZES)];
  const list = scales ?? sizes;
  const attribute = node.attributes['axes'];
  const axes = nodeAxes(node, attribute?.type === 'ints' ? attribute.value : [...shape.keys()], shape.length);
  if (list === undefined || list.length !== axes.length || list.some((each) => !(each > 0))) {
    throw new OpError(
      `Resize has scales or sizes [${list ?? 'computed'}]; expected ${axes.length} positive constants: export with static shapes`,
    );
  }
  return shape.map((extent, axis): Target => {
    const i = axes.indexOf(axis);
    // The samples are those of the job, however many the file has.
    if (i < 0 || (axis === 0 && scales === undefined)) return { scale: 1, extent };
    if (scales !== undefined) return { scale: scales[i]!, extent: Math.floor(Math.fround(extent * scales[i]!)) };
    return { scale: sizes![i]! / extent, extent: sizes![i]! };
  });
}

function samplingOf({ attributes }: OnnxNode): Sampling {
  const text = (name: string, otherwise: string): string => {
    const attribute = attributes[name];
    return attribute?.type === 'string' ? attribute.value : otherwise;
  };
  const antialias = attributes['antialias'];
  const sampling = {
    mode: text('mode', 'nearest'),
    coordinates: text('coordinate_transformation_mode', 'half_pixel'),
    rounding: text('nearest_mode', 'round_prefer_floor'),
  };
  const policy = text('keep_aspect_ratio_policy', 'stretch');
  if (!isSampling(sampling) || policy !== 'stretch' || (antialias?.type === 'int' && antialias.value !== 0)) {
    throw new OpError(
      `Resize has mode ${sampling.mode}, coordinates ${sampling.coordinates}, rounding ${sampling.rounding} and policy ${policy}; ` +
        'expected nearest or linear, none of tf_crop_and_resize, stretch, and no antialiasing',
    );
  }
  return sampling;
}
