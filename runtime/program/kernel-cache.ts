import type { OnnxGraph } from '../../soap/onnx/model.ts';
import type { Kernel, KernelEngine } from '../kernels/kernels.ts';

/** Compiles each distinct graph once; parts of equal shape share their kernels. */
export class KernelCache {
  readonly #engine: KernelEngine;
  readonly #kernels = new Map<string, Kernel>();

  constructor(engine: KernelEngine) {
    this.#engine = engine;
  }

  get(graph: OnnxGraph): Kernel {
    const key = contentKey(graph);
    const known = this.#kernels.get(key);
    if (known !== undefined) return known;
    const kernel = this.#engine.compile(graph);
    this.#kernels.set(key, kernel);
    return kernel;
  }

  release(): void {
    for (const kernel of this.#kernels.values()) kernel.release();
    this.#kernels.clear();
  }
}

/** Everything of the graph but its name. */
function contentKey({ inputs, outputs, nodes, initializers }: OnnxGraph): string {
  const constants = [...initializers].map(
    ([name, { dtype, shape, data }]) => `${name}:${dtype}[${shape}]=${data.join()}`,
  );
  return JSON.stringify([inputs, outputs, nodes, constants]);
}
