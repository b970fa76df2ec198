import type { OnnxGraph, OnnxNode, OnnxTensor, OnnxValue } from '../../../soap/onnx/model.ts';
import type { TensorBuffer } from '../../kernels/kernels.ts';
import type { Stage } from './stage.ts';

/**
 * Joins stages, in order, into one. A value that one stage writes and a later one reads, which is to say the same memory, is an
 * edge of the graph; it is written to memory only where `isRead` says that something outside reads it there.
 *
 * No memory is both read and written, as a kernel engine may run a node that writes before another that reads; but a stage may
 * update memory, reading and writing it, where only such stages read it: what it writes depends on what it read. Names count from 0, so that equal runs of stages give equal graphs.
 */
export function mergeStages(stages: readonly Stage[], isRead: (memory: TensorBuffer) => boolean): Stage {
  const merger = new Merger();
  for (const stage of stages) merger.add(stage);
  return merger.finish(stages.map(({ graph }) => graph.name).join(' '), isRead);
}

class Merger {
  readonly #nodes: OnnxNode[] = [];
  readonly #inner: OnnxValue[] = [];
  readonly #initializers = new Map<string, OnnxTensor>();
  readonly #inputs = new Map<TensorBuffer, OnnxValue>();
  readonly #written = new Map<TensorBuffer, OnnxValue>();
  /** What is read by stages that do not update it. */
  readonly #onlyRead = new Set<TensorBuffer>();
  #count = 0;
  #opset = 0;

  add({ graph, memory }: Stage): void {
    const prefix = `s${this.#count++}_`;
    const names = new Map<string, string>([['', '']]);
    const read = new Set(graph.inputs.map(({ name }) => memory[name]!));
    const updated = new Set(graph.outputs.flatMap(({ name }) => (read.has(memory[name]!) ? [memory[name]!] : [])));
    for (const each of read) if (!updated.has(each)) this.#onlyRead.add(each);
    for (const value of graph.inputs) names.set(value.name, this.#read(memory[value.name]!, value));
    const rename = (name: string): string => names.get(name) ?? `${prefix}${name}`;
    for (const [name, tensor] of graph.initializers) this.#initializers.set(rename(name), tensor);
    for (const value of [...(graph.inner ?? []), ...graph.outputs]) {
      this.#inner.push({ ...value, name: rename(value.name) });
    }
    for (const node of graph.nodes) {
      const name = `${prefix}${node.name}`;
      this.#nodes.push({ ...node, name, inputs: node.inputs.map(rename), outputs: node.outputs.map(rename) });
    }
    for (const value of graph.outputs) {
      const target = memory[value.name]!;
      this.#write(target, { ...value, name: rename(value.name) }, updated.has(target));
    }
    this.#opset = Math.max(this.#opset, graph.opset);
  }

  finish(name: string, isRead: (memory: TensorBuffer) => boolean): Stage {
    const outputs = [...this.#written].filter(([memory]) => isRead(memory));
    const bound = [...this.#inputs, ...outputs];
    return {
      graph: {
        name,
        opset: this.#opset,
        inputs: [...this.#inputs.values()],
        outputs: outputs.map(([, value]) => value),
        initializers: this.#initializers,
        inner: this.#inner,
        nodes: this.#nodes,
      } satisfies OnnxGraph,
      memory: Object.fromEntries(bound.map(([memory, value]) => [value.name, memory])),
    };
  }

  #read(memory: TensorBuffer, value: OnnxValue): string {
    const known = this.#written.get(memory) ?? this.#inputs.get(memory);
    if (known !== undefined) return this.#shaped(known, value.shape);
    const name = `i${this.#inputs.size}`;
    this.#inputs.set(memory, { ...value, name });
    return name;
  }

  /** The name of a value in a shape: memory has none, so the stages on its two sides may differ in it. */
  #shaped({ name, dtype, shape: given }: OnnxValue, wanted: OnnxValue['shape']): string {
    if (given.join() === wanted.join()) return name;
    const id = this.#nodes.length;
    const [constant, result] = [`reshape${id}_shape`, `reshape${id}`];
    const data = BigInt64Array.from(wanted, BigInt);
    this.#inner.push({ name: result, dtype, shape: wanted });
    this.#initializers.set(constant, { dtype: 'int64', shape: [wanted.length], data });
    const [inputs, outputs] = [[name, constant], [result]];
    this.#nodes.push({ name: result, opType: 'Reshape', domain: '', inputs, outputs, attributes: {} });
    return result;
  }

  #write(memory: TensorBuffer, value: OnnxValue, isUpdate: boolean): void {
    const isTaken = isUpdate ? this.#onlyRead.has(memory) : this.#inputs.has(memory) || this.#written.has(memory);
    if (isTaken) {
      throw new Error(`internal: '${value.name}' is written to memory that its segment has read or written already`);
    }
    this.#written.set(memory, value);
  }
}
