import { opClasses } from '../../graph/op-classes.ts';
import { ELEMENT_BYTES } from '../../onnx/element-types.ts';
import type { OnnxGraph, OnnxValue } from '../../onnx/model.ts';
import type { PassKernels } from '../../ops/kernel.ts';
import { partKernels } from '../../ops/kernel.ts';
import { regionShape } from '../../region/region.ts';
import type { Layout, PlacedPart } from '../layout.ts';
import { wantedGradients } from '../layout.ts';

/** What a kernel reads and writes, by the names of `soap/ops/emitter.ts`. */
export interface KernelValues {
  readonly reads: readonly string[];
  /** Bytes by name. */
  readonly writes: ReadonlyMap<string, number>;
}

/** The kernels of one direction of a part. */
export interface PassValues {
  readonly statistics: KernelValues | undefined;
  readonly main: KernelValues;
}

/** The kernels of a part. */
export interface PartValues {
  readonly forward: PassValues;
  readonly backward: PassValues | undefined;
}

/**
 * Returns what says of parts what their kernels read and write; parts of one shape share it, of ops that are alike and whose same
 * inputs want gradients.
 */
export function kernelValues(layout: Layout): (part: PlacedPart) => PartValues {
  const classes = opClasses(layout.graph);
  const known = new Map<string, PartValues>();
  return (part) => {
    const group = layout.groups[part.op]![part.index]!.length;
    const shapes = [...part.inputs, ...part.outputs].map((region) => region && regionShape(region).join());
    const op = layout.graph.ops[part.op]!;
    const wanted = wantedGradients(layout, op);
    const key = [classes[part.op], group, wanted, ...shapes].join(';');
    let values = known.get(key);
    if (values === undefined) {
      const { forward, backward } = partKernels(layout.graph, op, part, wanted, group);
      values = { forward: passValues(forward), backward: backward && passValues(backward) };
      known.set(key, values);
    }
    return values;
  };
}

function passValues({ statistics, main }: PassKernels): PassValues {
  return { statistics: statistics && valuesOf(statistics), main: valuesOf(main) };
}

function valuesOf({ inputs, outputs }: OnnxGraph): KernelValues {
  return {
    reads: inputs.map(({ name }) => name),
    writes: new Map(outputs.map((value) => [value.name, bytesOf(value)])),
  };
}

function bytesOf({ dtype, shape }: OnnxValue): number {
  return shape.reduce<number>((bytes, extent) => bytes * Number(extent), ELEMENT_BYTES[dtype]);
}
