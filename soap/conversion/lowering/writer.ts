import { dtypeCode } from '../../onnx/element-types.ts';
import type { OnnxDType, OnnxNode, OnnxTensor } from '../../onnx/model.ts';

/** Writes nodes one after the other that a node stands for. */
export interface NodeWriter {
  readonly nodes: readonly OnnxNode[];
  /** Returns the name of a result, the first unless said: others of the node are left out. */
  add(opType: string, inputs: readonly string[], attributes?: OnnxNode['attributes'], result?: number): string;
  constant(value: OnnxTensor): string;
  /** A constant of a name of its own, by which nodes of a file share it. */
  named(name: string, value: OnnxTensor): string;
  /** A value as another type. */
  cast(value: string, to: 'float32' | 'int64'): string;
  /** A single number, float32; whole and int64 where it is to go with values of whole numbers. */
  number(value: number, beside?: OnnxDType): string;
  /** A list, int64. */
  integers(values: readonly number[]): string;
  /** Gives the last value the name of the node's output. Returns the nodes. */
  finish(): readonly OnnxNode[];
}

/** A writer of what a node stands for; values are named after its output, and the node that says what is wrong after it. */
export function nodeWriter({ name, outputs }: OnnxNode): NodeWriter {
  const nodes: OnnxNode[] = [];
  const add: NodeWriter['add'] = (opType, inputs, attributes = {}, result = 0) => {
    const output = `${outputs[0]}:${nodes.length}`;
    const results = [...Array.from({ length: result }, () => ''), output];
    nodes.push({ name: `${name}:${nodes.length}`, opType, domain: '', inputs, outputs: results, attributes });
    return output;
  };
  const constant = (value: OnnxTensor): string => add('Constant', [], { value: { type: 'tensor', value } });
  const named: NodeWriter['named'] = (output, value) => {
    const attributes = { value: { type: 'tensor', value } } as const;
    nodes.push({ name: output, opType: 'Constant', domain: '', inputs: [], outputs: [output], attributes });
    return output;
  };
  return {
    nodes,
    add,
    constant,
    named,
    cast: (value, to) => add('Cast', [value], { to: { type: 'int', value: dtypeCode(to) } }),
    number: (value, beside = 'float32') =>
      isWhole(beside)
        ? constant({ dtype: 'int64', shape: [], data: BigInt64Array.of(BigInt(value)) })
        : constant({ dtype: 'float32', shape: [], data: Float32Array.of(value) }),
    integers: (values) =>
      constant({ dtype: 'int64', shape: [values.length], data: BigInt64Array.from(values, BigInt) }),
    finish() {
      const last = nodes.pop()!;
      const inputs = [last.outputs.at(-1)!];
      // The node that is written last may be written as others in turn: their values are named after what it makes.
      nodes.push(
        { ...last, name },
        { name, opType: 'Identity', domain: '', inputs, outputs: [outputs[0]!], attributes: {} },
      );
      return nodes;
    },
  };
}

/** Whether values are whole numbers, which are int64 here. */
export function isWhole(dtype: OnnxDType): boolean {
  return dtype !== 'float32' && dtype !== 'float64';
}
