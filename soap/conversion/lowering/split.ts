import type { OnnxNode } from '../../onnx/model.ts';
import type { ImportContext } from '../../ops/op.ts';
import { nodeAxis } from '../../ops/node-axes.ts';
import { integerList, OpError } from '../../ops/op.ts';

/**
 * A Split as Slices, one for each output. Extents are an attribute up to operator set 12, an input since; without, the parts are
 * equal, the last the smallest.
 */
export function splitAsSlices(node: OnnxNode, context: ImportContext): OnnxNode[] {
  const [attribute, listed] = [node.attributes['axis'], node.attributes['split']];
  const shape = context.shape(0);
  const given = attribute?.type === 'int' ? attribute.value : 0;
  const axis = nodeAxis(node, given, shape.length);
  const extent = shape[axis]!;
  const sizes = context.constant(1);
  if ((node.inputs[1] ?? '') !== '' && sizes === undefined) {
    throw new OpError('Split has extents that are computed; expected constants');
  }
  const equal = Math.ceil(extent / node.outputs.length);
  const extents =
    listed?.type === 'ints'
      ? listed.value
      : sizes === undefined
        ? node.outputs.map((_, i) => Math.min(equal, extent - i * equal))
        : integerList(sizes);
  if (extents.length !== node.outputs.length || extents.reduce((a, b) => a + b, 0) !== extent) {
    throw new OpError(
      `Split cuts an axis of ${extent} into [${extents}]; expected ${node.outputs.length} that add up to it`,
    );
  }
  let start = 0;
  return node.outputs.map((output, i): OnnxNode => {
    const end = start + extents[i]!;
    const attributes = {
      starts: { type: 'ints', value: [start] },
      ends: { type: 'ints', value: [end] },
      axes: { type: 'ints', value: [axis] },
    } as const;
    start = end;
    return {
      name: `${node.name}:${i}`,
      opType: 'Slice',
      domain: '',
      inputs: [node.inputs[0]!],
      outputs: [output],
      attributes,
    };
  });
}
