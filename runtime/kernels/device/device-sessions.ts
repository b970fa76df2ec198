import { encodeOnnx } from '../../../soap/onnx/encode.ts';
import type { OnnxGraph } from '../../../soap/onnx/model.ts';
import { KernelError } from '../kernels.ts';
import { sessionOptions } from '../onnxruntime/environment.ts';
import type { OrtLibrary, Pointer } from '../onnxruntime/library.ts';
import { cpuNodes } from './assignment.ts';
import type { DeviceProvider } from './providers.ts';
import { messageOf } from '../../../soap/message-of.ts';

/** An entry of the configuration of a session. */
type SessionEntry = readonly [key: string, value: string];
/** No node may run on the CPU instead: its values would be copied there and back unasked. */
const NO_FALLBACK: SessionEntry = ['session.disable_cpu_ep_fallback', '1'];
const RECORD_ASSIGNMENT: SessionEntry = ['session.record_ep_graph_assignment_info', '1'];

/** A compiled session. */
export interface DeviceSession {
  readonly pointer: Pointer;
  /** Whether what its runs start on the device is recorded, and started again at once. */
  readonly records: boolean;
}

/** Makes sessions on a device. */
export interface DeviceSessions {
  /** A session that records where provider and graph allow it. @throws {KernelError} naming the nodes that the provider does not have */
  compile(model: Uint8Array): DeviceSession;
  /** A session that does not record. @throws {KernelError} as {@link compile} does */
  compilePlain(model: Uint8Array): DeviceSession;
  /** Opens the device: a session of a graph that every device can run. To be called first, and once. @throws {KernelError} a sentence with the cure, where there is no device */
  probe(): Pointer;
}

export function deviceSessions(
  library: OrtLibrary,
  env: Pointer,
  provider: DeviceProvider,
  gpu: number,
): DeviceSessions {
  /** Every session has options of its own: one that is released lets go of the device that appending the provider took. */
  const create = (model: Uint8Array, [key, value]: SessionEntry, records = false): Pointer => {
    const options = sessionOptions(library);
    try {
      library.call('AddSessionConfigEntry', options, key, value);
      // CUDA's faster sums add in whatever order. Source: ReduceKernel of ONNX Runtime's CUDA provider.
      library.call('SetDeterministicCompute', options, true);
      provider.append(library, options, { gpu, records });
      return library.create('CreateSessionFromArray', env, model, model.length, options);
    } finally {
      library.release('ReleaseSessionOptions', options);
    }
  };
  /** The nodes that the provider leaves to the CPU. */
  const nodesOnCpu = (model: Uint8Array): string[] => {
    try {
      const session = create(model, RECORD_ASSIGNMENT);
      const nodes = cpuNodes(library, session);
      library.release('ReleaseSession', session);
      return nodes;
    } catch {
      // The graph is refused for another reason, which the caller knows.
      return [];
    }
  };
  const compilePlain = (model: Uint8Array): DeviceSession => {
    try {
      return { pointer: create(model, NO_FALLBACK), records: false };
    } catch (error) {
      const nodes = nodesOnCpu(model);
      if (nodes.length === 0) throw error;
      throw new KernelError(`the ${provider.title} provider does not have ${nodes.join(', ')}`, { cause: error });
    }
  };
  return {
    compile(model) {
      if (!provider.records) return compilePlain(model);
      try {
        return { pointer: create(model, NO_FALLBACK, true), records: true };
      } catch {
        // Refused as it is, or for being recorded alone: the plain session tells.
        return compilePlain(model);
      }
    },
    compilePlain,
    probe() {
      try {
        provider.register(library, env);
        return create(encodeOnnx(PROBE), NO_FALLBACK);
      } catch (error) {
        const message = `there is no ${provider.title} device here (${reasonOf(error)}): ${provider.cure}`;
        throw new KernelError(message, { cause: error });
      }
    },
  };
}

/** What the library says went wrong, without where in its sources. */
function reasonOf(error: unknown): string {
  const message = messageOf(error);
  return message
    .trim()
    .split(/ was false\. | : FAIL : | with error: /)
    .at(-1)!;
}

const PROBE: OnnxGraph = {
  name: 'probe',
  opset: 17,
  inputs: [{ name: 'x', dtype: 'float32', shape: [1] }],
  outputs: [{ name: 'y', dtype: 'float32', shape: [1] }],
  initializers: new Map(),
  nodes: [{ name: 'add', opType: 'Add', domain: '', inputs: ['x', 'x'], outputs: ['y'], attributes: {} }],
};
