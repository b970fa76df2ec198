import type { OnnxDType } from '../../soap/onnx/model.ts';
import { ELEMENT_BYTES } from '../../soap/onnx/element-types.ts';
import type { Span } from '../../soap/tasks/liveness/slots.ts';
import { assignSlots } from '../../soap/tasks/liveness/slots.ts';
import type { NamedMemory } from './segments/stage.ts';
import type { KernelEngine, TensorBuffer, TensorMemory } from '../kernels/kernels.ts';

/** What gives out memory for tensors. */
export type Allocator = Pick<KernelEngine, 'allocate'>;

/** A buffer that stands for one while a program is built. */
class Draft implements TensorBuffer {
  readonly dtype: OnnxDType;
  readonly length: number;
  #buffer: TensorBuffer | undefined;

  constructor(dtype: OnnxDType, length: number) {
    this.dtype = dtype;
    this.length = length;
  }

  get buffer(): TensorBuffer | undefined {
    return this.#buffer;
  }

  set buffer(buffer: TensorBuffer | undefined) {
    this.#buffer = buffer;
  }

  get host(): TensorMemory {
    return placed(this).host;
  }
}

/** The engine's buffer that a draft stands for; of any other buffer, itself. */
export function placed(buffer: TensorBuffer): TensorBuffer {
  if (!(buffer instanceof Draft)) return buffer;
  if (buffer.buffer === undefined) {
    throw new Error(
      `internal: a buffer of ${buffer.length} ${buffer.dtype} is used that no segment of the program has`,
    );
  }
  return buffer.buffer;
}

/** The same of memory by name. */
export function placedMemory(memory: NamedMemory): NamedMemory {
  return Object.fromEntries(Object.entries(memory).map(([name, buffer]) => [name, placed(buffer)]));
}

/**
 * The memory that a device's program needs for some time in each pass. While the program is built, each tensor gets a draft;
 * once it stands, and says from which segment to which each is needed, drafts get buffers, and those that are never needed at
 * the same time the same one. What is never needed, since it stays inside of kernels, gets none.
 */
export class Drafts implements Allocator {
  readonly #engine: Pick<KernelEngine, 'allocate' | 'view'>;

  constructor(engine: Pick<KernelEngine, 'allocate' | 'view'>) {
    this.#engine = engine;
  }

  allocate(dtype: OnnxDType, elements: number): TensorBuffer {
    return new Draft(dtype, elements);
  }

  /** Gives a draft a buffer of its own, which nothing else has at any time. */
  keep(memory: TensorBuffer): void {
    if (memory instanceof Draft) memory.buffer ??= this.#engine.allocate(memory.dtype, memory.length);
  }

  /** Gives drafts their buffers; those that are kept, and what is no draft, has its own already. */
  place(spans: ReadonlyMap<TensorBuffer, Span>): void {
    const needed = new Map<Draft, Span>();
    for (const [memory, span] of spans) {
      if (memory instanceof Draft && memory.buffer === undefined) needed.set(memory, span);
    }
    for (const { bytes, held } of assignSlots(needed, bytesOf)) {
      const slot = this.#engine.allocate('uint8', bytes);
      for (const draft of held) draft.buffer = this.#engine.view(slot, draft.dtype, draft.length);
    }
  }
}

function bytesOf({ dtype, length }: TensorBuffer): number {
  return ELEMENT_BYTES[dtype] * length;
}
