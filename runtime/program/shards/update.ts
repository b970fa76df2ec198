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

/** A shard to update, and what its gradient is the sum of. */
export interface ShardUpdate {
  readonly state: ShardState;
  readonly runs: readonly TermRun[];
}

/** Elements of a shard from `start` to `end`, with the terms of the gradient. */
interface UpdatePiece extends TermRun {
  readonly state: ShardState;
}

/**
 * The optimizer's step on shards, in place; several kernels at once where the engine can. Where buffers are not to be cut, it is one
 * kernel, and each gradient has one term.
 */
export function bindUpdates(context: UpdateContext, updates: readonly ShardUpdate[]): BoundKernel {
  const { cut, concurrency = 1 } = context.engine;
  if (cut === undefined) return bindPieces(context, updates.flatMap(wholeRuns));
  return together(
    updates.flatMap((update) => hostKernels(context, update, concurrency)),
    concurrency,
  );
}

function wholeRuns({ state, runs }: ShardUpdate): UpdatePiece[] {
  return runs.map((run) => ({ state, ...run }));
}

/** Kernels of pieces that follow each other in the host's memory. */
function hostKernels(context: UpdateContext, { state, runs }: ShardUpdate, concurrency: number): BoundKernel[] {
  const size = updateRunElements(state.weight.length, concurrency);
  const kernels: BoundKernel[] = [];
  for (const { start: first, end: last, terms } of runs) {
    for (let start = first; start < last; start += size) {
      let at = start;
      const pieces = pieceLengths(Math.min(last, start + size) - start).map((length): UpdatePiece => {
        at += length;
        return { state, terms, start: at - length, end: at };
      });
      kernels.push(bindPieces(context, pieces));
    }
  }
  return kernels;
}

/** One kernel for pieces whose gradients have as many terms each. */
function bindPieces({ optimizer, kernels, engine, rates }: UpdateContext, pieces: readonly UpdatePiece[]): BoundKernel {
  const termCount = pieces[0]!.terms.length;
  const graph = optimizer.kernel(
    pieces.map(({ start, end }) => end - start),
    termCount,
  );
  const memory: Record<string, TensorBuffer> = {};
  for (const [piece, { state, terms, start, end }] of pieces.entries()) {
    const cut = (buffer: TensorBuffer): TensorBuffer => bufferRange(engine, buffer, start, end);
    const names = updateNames(piece, termCount, state.optimizer.length);
    const kept = [cut(state.weight), ...state.optimizer.map(cut)];
    [names.weight, ...names.states].forEach((name, index) => (memory[name] = kept[index]!));
    names.outputs.forEach((name, index) => (memory[name] = kept[index]!));
    names.gradients.forEach((name, index) => (memory[name] = cut(terms[index]!)));
  }
  rates.forEach((rate, index) => (memory[`rate${index}`] = rate));
  const names = [...graph.inputs, ...graph.outputs].map(({ name }) => name);
  return kernels.get(graph).bind(Object.fromEntries(names.map((name) => [name, memory[name]!])));
}
