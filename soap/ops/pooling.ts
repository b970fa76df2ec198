import type { Attributes, Shape } from '../graph/graph.ts';
import type { OnnxAttribute, OnnxNode } from '../onnx/model.ts';
import type { Region } from '../region/region.ts';
import { regionVolume } from '../region/region.ts';
import { ints } from './emitter.ts';
import type { Dimension, OpSignature, Part } from './op.ts';
import { OpError } from './op.ts';
import { spatialDimensions } from './spatial.ts';
import type { Window } from './window.ts';
import {
  autoPad,
  partPads,
  reach,
  tapCount,
  windowFromOnnx,
  windowInput,
  windowOf,
  windowOutput,
  windowUnits,
} from './window.ts';

/** A pooling window whose last place fits: what `ceil_mode` adds is part of the end padding. */
export interface PoolWindow extends Window {
  /** How much of the end padding lies beyond the padded input, per axis. */
  readonly overhang: readonly number[];
}

/**
 * Reads the window of an ONNX pooling node.
 * @throws {OpError} for extents that no kernel can run
 */
export function poolFromOnnx(node: OnnxNode, input: Shape): PoolWindow {
  const window = windowFromOnnx(node, input);
  const ceil = node.attributes['ceil_mode'];
  const roundsUp = ceil?.type === 'int' && ceil.value !== 0 && !autoPad(node).startsWith('SAME');
  const overhang = input.slice(2).map((extent, i) => (roundsUp ? ceilOverhang(window, extent, i) : 0));
  const padsEnd = window.padsEnd.map((pad, i) => pad + overhang[i]!);
  [...window.padsBegin, ...padsEnd].forEach((pad, i) => {
    const extent = window.kernel[i % window.kernel.length]!;
    // ONNX Runtime's pools refuse such windows too; a place could see nothing but padding.
    if (pad >= extent)
      throw new OpError(`${node.opType} has a padding of ${pad}; expected less than its ${extent} taps`);
  });
  return { ...window, padsEnd, overhang };
}

/**
 * Padding that the last place needs when the output is rounded up. A place that would start behind the input and its begin
 * padding is left out. Source: ONNX AveragePool 22, ceil_mode; torch.nn.AvgPool2d says the same.
 */
function ceilOverhang(window: Window, extent: number, axis: number): number {
  const [stride, span, begin] = [window.strides[axis]!, reach(window, axis), window.padsBegin[axis]!];
  const padded = extent + begin + window.padsEnd[axis]!;
  const places = Math.ceil((padded - span) / stride) + 1;
  const last = (places - 1) * stride >= extent + begin ? places - 2 : places - 1;
  return Math.max(0, last * stride + span - padded);
}

/** Shape of a pooled [N, C, ...]. @throws {OpError} where the window does not fit */
export function poolOutputShape(opType: string, x: Shape | undefined, attributes: Attributes): Shape {
  const window = windowOf(attributes);
  if (x?.length !== window.kernel.length + 2) {
    throw new OpError(
      `${opType} has an input of shape [${x}]; expected [N, C, ...] with the ${window.kernel.length} axes of its window`,
    );
  }
  return [x[0]!, x[1]!, ...windowOutput(window, x.slice(2))];
}

/** Samples, channels and the spatial axes, all of which pooling keeps apart. */
export function poolDimensions({ outputs, attributes }: OpSignature): readonly Dimension[] {
  const shape = outputs[0]!;
  return spatialDimensions(shape, {
    channel: 'attribute',
    spatial: windowUnits(windowOf(attributes), shape.slice(2)),
  });
}

/** What a part of a pooling reads, halos included. */
export function poolInputRegion({ inputs, attributes }: OpSignature, output: Region): Region {
  return [output[0]!, output[1]!, ...windowInput(windowOf(attributes), output.slice(2), inputs[0]!.slice(2))];
}

/** The window as ONNX attributes, with the pads that remain around the part. */
export function windowAttributes(window: Window, part: Part): Record<string, OnnxAttribute> {
  return {
    kernel_shape: ints(window.kernel),
    strides: ints(window.strides),
    dilations: ints(window.dilations),
    pads: ints(partPads(window, part)),
  };
}

/** One operation per tap and place. */
export function poolFlops({ output, signature }: Part): number {
  return regionVolume(output) * tapCount(windowOf(signature.attributes));
}
