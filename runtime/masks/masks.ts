import { Worker } from 'node:worker_threads';
import { opDefinition } from '../../soap/ops/index.ts';
import type { TrainingGraph } from '../../soap/training/loss.ts';
import { samplePeriods } from '../../soap/training/sample-period.ts';
import type { PlacedPart } from '../../soap/tasks/layout.ts';
import { readsMask } from '../../soap/tasks/masks.ts';
import type { KernelEngine, TensorBuffer } from '../kernels/kernels.ts';
import type { MaskKey, MaskPlan, MaskSet } from './fill.ts';
import { maskFiller, SCRATCH_BYTES, SLACK_BYTES } from './fill.ts';
import { MAX_PAGES } from './wasm.ts';

/** Elements that are made where they are needed: it takes less than to tell a thread. */
const FEW_ELEMENTS = 2 ** 16;

const PAGE_BYTES = 2 ** 16;

const THREAD = new URL('thread.ts', import.meta.url);

/** A part that drops elements, and the memory that says to its kernels which it keeps. */
export interface MaskedPart {
  readonly part: PlacedPart;
  readonly mask: TensorBuffer;
}

/** The masks of a device. */
export interface Masks {
  /** Fills the parts' memory for a micro-batch, then goes on to make those of the next one. */
  load(key: MaskKey): Promise<void>;
  release(): void;
}

/**
 * The masks of parts of a device; undefined where there are none.
 * @throws {Error} a sentence where they are more than can be made
 */
export function createMasks(
  training: TrainingGraph,
  parts: readonly MaskedPart[],
  engine: Pick<KernelEngine, 'upload'>,
  seed: number,
): Masks | undefined {
  if (parts.length === 0) return undefined;
  const { plans, bytes } = planMasks(training, parts);
  const pages = Math.ceil(bytes / PAGE_BYTES);
  if (pages > MAX_PAGES) {
    throw new Error(
      `the masks of the dropouts on one device have ${bytes} elements; expected at most ${MAX_PAGES * PAGE_BYTES}: ` +
        'split the model further, or raise gradientAccumulationSteps',
    );
  }
  // It never grows, so that views of it stay; of the address space only what is used is taken.
  const memory = new WebAssembly.Memory({ initial: pages, maximum: MAX_PAGES, shared: true });
  const set: MaskSet = { memory, plans, seed, accumulationSteps: training.accumulationSteps };
  const copy = async (): Promise<void> => {
    parts.forEach(({ mask }, i) => {
      const { host } = mask;
      new Uint8Array(host.buffer, host.byteOffset, host.byteLength).set(
        new Uint8Array(memory.buffer, plans[i]!.address, mask.length),
      );
    });
    await engine.upload(parts.map(({ mask }) => mask));
  };
  return bytes <= FEW_ELEMENTS ? madeHere(set, copy) : madeAhead(set, copy);
}

function planMasks({ graph }: TrainingGraph, parts: readonly MaskedPart[]): { plans: MaskPlan[]; bytes: number } {
  const numbers = new Map(graph.ops.filter(readsMask).map(({ id }, index) => [id, index]));
  const periods = samplePeriods(graph);
  let bytes = SCRATCH_BYTES;
  const plans = parts.map(({ part, mask }): MaskPlan => {
    const { kind, attributes, outputs } = graph.ops[part.op]!;
    const [tensor, address] = [graph.tensors[outputs[0]!]!, bytes];
    bytes += mask.length + SLACK_BYTES;
    const threshold = Math.round(opDefinition(kind).droppedShare!(attributes) * 2 ** 32);
    const whole = { shape: tensor.shape, period: periods[tensor.id]! };
    return { op: numbers.get(part.op)!, threshold, region: part.output, ...whole, address };
  });
  return { plans, bytes };
}

function madeHere(set: MaskSet, copy: () => Promise<void>): Masks {
  const fill = maskFiller(set);
  return {
    load(key) {
      fill(key);
      return copy();
    },
    release: () => undefined,
  };
}

/** A thread makes masks while the device trains with those before. */
function madeAhead(set: MaskSet, copy: () => Promise<void>): Masks {
  const worker = new Worker(THREAD, { workerData: set });
  let ahead: { readonly key: MaskKey; readonly made: Promise<void> } | undefined;
  let settle: { readonly resolve: () => void; readonly reject: (error: Error) => void } | undefined;
  let failure: Error | undefined;
  worker.on('message', () => settle?.resolve());
  worker.on('error', ({ message }) => {
    failure = new Error(`the thread that makes masks failed: ${message}`);
    settle?.reject(failure);
  });
  worker.unref();
  const make = (key: MaskKey): { readonly key: MaskKey; readonly made: Promise<void> } => {
    const made = new Promise<void>((resolve, reject) => {
      settle = { resolve, reject };
      if (failure !== undefined) reject(failure);
    });
    // A failure is seen when the masks are loaded; until then it must not count as unhandled.
    made.catch(() => undefined);
    worker.postMessage(key);
    return { key, made };
  };
  return {
    async load(key) {
      worker.ref();
      if (ahead?.key.step !== key.step || ahead.key.microBatch !== key.microBatch) {
        await ahead?.made;
        ahead = make(key);
      }
      await ahead.made;
      worker.unref();
      await copy();
      ahead = make(next(key, set.accumulationSteps));
    },
    release: () => void worker.terminate(),
  };
}

function next({ step, microBatch }: MaskKey, accumulationSteps: number): MaskKey {
  return microBatch + 1 < accumulationSteps ? { step, microBatch: microBatch + 1 } : { step: step + 1, microBatch: 0 };
}
