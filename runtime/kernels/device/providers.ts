import type { OnnxGraph } from '../../../soap/onnx/model.ts';
import type { OrtLibrary, Pointer } from '../onnxruntime/library.ts';
import { cudaProviderPath, requireCudnn } from './cuda.ts';
import { cudaGpuCount } from './cuda-driver.ts';
import { inCudaForms } from './cuda-forms.ts';
import { inWebGpuForms } from './webgpu-forms.ts';

/** Execution providers of ONNX Runtime whose tensors are not in the host's memory. */
export type DeviceProviderName = 'webgpu' | 'cuda';

/** Where and how sessions run. */
export interface SessionPlace {
  /** Counted from 0. */
  readonly gpu: number;
  readonly records: boolean;
}

/** What differs between them. */
export interface DeviceProvider {
  readonly title: string;
  /** The library's name of the device's memory. Source: `allocator.h` of ONNX Runtime 1.30. */
  readonly memoryName: string;
  /** How many GPUs of the machine are told apart by number; 1 where the provider takes the one that it finds fastest. */
  gpus(): number;
  /** Lets an environment copy to the device and back. @throws {KernelError} where the provider cannot be loaded */
  register(library: OrtLibrary, env: Pointer): void;
  /**
   * Makes sessions of these options run on the device, and record what they start there where the provider can and is asked to.
   * @throws {KernelError} where the provider cannot be loaded
   */
  append(library: OrtLibrary, options: Pointer, place: SessionPlace): void;
  /** Whether it can: see {@link append}. */
  readonly records: boolean;
  /** Whether a kernel may write a buffer that it also reads. */
  readonly writesInPlace: boolean;
  /** The graph in nodes that the provider has. @throws {KernelError} naming a node that no form is known of */
  readonly forms: (graph: OnnxGraph) => OnnxGraph;
  /** What a user may do who has no such device. */
  readonly cure: string;
}

export const DEVICE_PROVIDERS: Readonly<Record<DeviceProviderName, DeviceProvider>> = {
  webgpu: {
    title: 'WebGPU',
    memoryName: 'WebGPU_Buf',
    // Its own recordings are one a session, and bindings of one kernel share theirs.
    records: false,
    // A shader may not read and write one buffer by two names.
    writesInPlace: false,
    gpus: () => 1,
    forms: inWebGpuForms,
    register: () => undefined,
    append(library, options) {
      // The provider reads its settings when it is appended.
      const set = (name: string, value: string): void =>
        library.call('AddSessionConfigEntry', options, `ep.webgpuexecutionprovider.${name}`, value);
      // Token ids and labels are int64; the provider computes with their low 32 bits.
      set('enableInt64', '1');
      // Channels stay where the kernels have them: the library would put Transpose nodes around, of types that are not there.
      set('preferredLayout', 'NCHW');
      library.call('SessionOptionsAppendExecutionProvider', options, 'WebGPU', null, null, 0);
    },
    cure:
      'install the driver of a GPU with its Vulkan part (and libvulkan1) and let the process see it, or a software device as ' +
      'docs/gpu.md says; or run with --provider cpu',
  },
  cuda: {
    title: 'CUDA',
    memoryName: 'Cuda',
    records: true,
    writesInPlace: true,
    gpus: cudaGpuCount,
    forms: inCudaForms,
    register(library, env) {
      // Sessions load the provider by themselves; copies outside of them are only there where it is registered.
      library.call('RegisterExecutionProviderLibrary', env, 'CUDA', cudaProviderPath());
      requireCudnn();
    },
    append(library, options, { gpu, records }) {
      const cuda = library.create('CreateCUDAProviderOptions');
      try {
        // TF32 keeps 10 bits of each factor: losses would not be those of float32.
        const settings = {
          device_id: String(gpu),
          use_tf32: '0',
          // A search takes what is fastest at that moment, which may be another algorithm, of other bits, the next time.
          cudnn_conv_algo_search: 'HEURISTIC',
          arena_extend_strategy: 'kSameAsRequested',
          enable_cuda_graph: records ? '1' : '0',
        };
        const names = library.texts(Object.keys(settings));
        const values = library.texts(Object.values(settings));
        library.call('UpdateCUDAProviderOptions', cuda, names, values, names.length);
        library.call('SessionOptionsAppendExecutionProvider_CUDA_V2', options, cuda);
      } finally {
        library.release('ReleaseCUDAProviderOptions', cuda);
      }
    },
    cure:
      'put libonnxruntime_providers_shared.so and libonnxruntime_providers_cuda.so of ONNX Runtime 1.30 beside ' +
      'libonnxruntime.so.1 and install the CUDA that they are of, with cuDNN 9, as docs/gpu.md says; or run with --provider webgpu or cpu',
  },
};

/** Which GPU of a provider a device of this machine takes, the devices counted from 0: where there are fewer GPUs, devices share them. */
export function gpuOf(provider: DeviceProvider, device: number): number {
  return device % Math.max(1, provider.gpus());
}
