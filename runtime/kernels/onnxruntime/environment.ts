import { isMainThread } from 'node:worker_threads';
import { dtypeCode } from '../../../soap/onnx/element-types.ts';
import type { OnnxDType } from '../../../soap/onnx/model.ts';
import type { TensorMemory } from '../kernels.ts';
import type { OrtLibrary, Pointer } from './library.ts';

/** Only what ends the process is logged: errors come as statuses. */
const LOG_FATAL_ONLY = 4;

/**
 * Of an arena: each extension twice the last one. Pieces of what is given back join up only within an extension, so that with
 * extensions as large as what was asked for an LSTM's steps left 60 MB that its whole sequences had no use for.
 * Source: OrtArenaCfg of onnxruntime_c_api.h; measured, docs/performance/runtime.md.
 */
const [NO_LIMIT, EXTEND_BY_DOUBLING, DEFAULT] = [0, 0, -1];

/** The threads of all kernels of a process. */
export interface ThreadPool {
  /** Threads that all kernels together use. */
  readonly threads: number;
  /**
   * Whether threads without work look for it for a while before they sleep, about a millisecond: waking one takes tens of microseconds,
   * which every node of a graph would pay. For a process that waits for no other, which would need the core; false where left out.
   */
  readonly spins?: boolean;
}

/**
 * The environment, with one pool of threads for all sessions. It is one for the process: while an engine is open, another one
 * shares its pool, whatever it asks for.
 */
export function createEnvironment(library: OrtLibrary, { threads, spins = false }: ThreadPool): Pointer {
  const options = library.create('CreateThreadingOptions');
  library.call('SetGlobalIntraOpNumThreads', options, threads);
  library.call('SetGlobalSpinControl', options, spins ? 1 : 0);
  const env = library.create('CreateEnvWithGlobalThreadPools', LOG_FATAL_ONLY, 'soapstone', options);
  library.release('ReleaseThreadingOptions', options);
  return env;
}

/** Options of sessions that use the threads of the environment. */
export function sessionOptions(library: OrtLibrary): Pointer {
  const options = library.create('CreateSessionOptions');
  library.call('DisablePerSessionThreads', options);
  library.call('SetSessionLogSeverityLevel', options, LOG_FATAL_ONLY);
  return options;
}

/** Engines that share the process's arena. */
let sharers = 0;

/**
 * Gives the process one arena, from which all sessions with {@link sharingOptions} take what their kernels write inside: at any
 * time one of them runs on a device, so that they need not have memory of their own. Returns the way to let go of it.
 */
export function shareArena(library: OrtLibrary, env: Pointer, cpu: Pointer): () => void {
  if (sharers === 0) {
    const arena = library.create('CreateArenaCfg', NO_LIMIT, EXTEND_BY_DOUBLING, DEFAULT, DEFAULT);
    library.call('CreateAndRegisterAllocator', env, cpu, arena);
    library.release('ReleaseArenaCfg', arena);
  }
  sharers += 1;
  return () => {
    sharers -= 1;
    // The environment may live on, with the engine of another device. Threads share it too, and know nothing of each other's engines.
    if (sharers === 0 && isMainThread) library.call('UnregisterAllocator', env, cpu);
  };
}

/** Would fold a transposed operand into the product again that is transposed beforehand because products are faster then. */
const UNWANTED = 'GemmTransposeFusion;MatmulTransposeFusion';

/**
 * The same, for sessions that take memory from the shared arena. They do not plan it as one block beforehand: the block
 * would come beside what the first run took, and be each session's own.
 */
export function sharingOptions(library: OrtLibrary): Pointer {
  const options = sessionOptions(library);
  library.call('DisableMemPattern', options);
  library.call('AddSessionConfigEntry', options, 'session.use_env_allocators', '1');
  library.call('AddSessionConfigEntry', options, 'optimization.disable_specified_optimizers', UNWANTED);
  return options;
}

/** Memory of a tensor, with what it holds. */
export interface TensorOf {
  readonly memory: TensorMemory;
  readonly dtype: OnnxDType;
  readonly shape: readonly number[];
}

/** A tensor over memory that stays the caller's. */
export function createValue(library: OrtLibrary, cpu: Pointer, { memory, dtype, shape }: TensorOf): Pointer {
  const extents = BigInt64Array.from(shape, BigInt);
  const { byteLength } = memory;
  const code = dtypeCode(dtype);
  return library.create('CreateTensorWithDataAsOrtValue', cpu, memory, byteLength, extents, shape.length, code);
}
