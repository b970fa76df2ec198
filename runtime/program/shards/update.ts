import type { BoundKernel, KernelEngine, TensorBuffer } from '../../kernels/kernels.ts';
import { together } from '../../kernels/together.ts';
import type { Optimizer } from '../../optimizers/optimizer.ts';
import { pieceLengths, updateRunElements } from '../../optimizers/optimizer.ts';
import { updateNames } from '../../optimizers/update-rule.ts';
import type { TermRun } from '../gradient-memory.ts';
import type { KernelCache } from '../kernel-cache.ts';
import type { ShardState } from '../parameter-store.ts';
import { bufferRange } from './buffer-range.ts';

/** What the updates of all shards share. */
export interface UpdateContext {
  readonly optimizer: Optimizer;
  readonly engine: KernelEngine;
  readonly kernels: KernelCache;
  /** What update kernels read as `rate0`... */
  readonly rates: readonly TensorBuffer[];
}

/** The optimizer's step on a shard, in place; several kernels at once where the engine can. */
export function bindUpdate(context: UpdateContext, state: ShardState, runs: readonly TermRun[]): BoundKernel {
  const { cut, concurrency = 1 } = context.engine;
  const { length } = state.weight;
  const size = cut === undefined ? length : updateRunElements(length, concurrency);
  const kernels: BoundKernel[] = [];
  for (const { start: first, end: last, terms } of runs) {
    for (let start = first; start < last; start += size) {
      kernels.push(bindPieces(context, state, terms, start, Math.min(last, start + size)));
    }
  }
  return together(kernels, concurrency);
}

/** One kernel for the elements from `start` to `end`, as one piece where buffers are not to be cut. */
function bindPieces(
  { optimizer, kernels, engine, rates }: UpdateContext,
  { weight, optimizer: states }: ShardState,
  terms: readonly TensorBuffer[],
  start: number,
  end: number,
): BoundKernel {
  const lengths = engine.cut === undefined ? [end - start] : pieceLengths(end - start);
  const graph = optimizer.kernel(lengths, terms.length);
  const memory: Record<string, TensorBuffer> = {};
  let at = start;
  for (const [piece, length] of lengths.entries()) {
    const cut = (buffer: TensorBuffer): TensorBuffer => bufferRange(engine, buffer, at, at + length);
    const names = updateNames(piece, terms.length, states.length);
    const kept = [cut(weight), ...states.map(cut)];
    [names.weight, ...names.states].forEach((name, index) => (memory[name] = kept[index]!));
    names.outputs.forEach((name, index) => (memory[name] = kept[index]!));
    names.gradients.forEach((name, index) => (memory[name] = cut(terms[index]!)));
    at += length;
  }
  rates.forEach((rate, index) => (memory[`rate${index}`] = rate));
  const names = [...graph.inputs, ...graph.outputs].map(({ name }) => name);
  return kernels.get(graph).bind(Object.fromEntries(names.map((name) => [name, memory[name]!])));
}
