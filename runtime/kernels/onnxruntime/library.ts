import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import koffi from 'koffi';
import { KernelError } from '../kernels.ts';
import { loadNative } from '../native-library.ts';

/** The API version the table indices below were counted from. */
const ORT_API_VERSION = 30;
const EXPECTED_VERSION = '1.30.';
/** An address; 0n is null. */
export type Pointer = bigint;

/**
 * Functions of ONNX Runtime's C API: index in the OrtApi table, result, parameters. `status` functions return null or an
 * error. Source: onnxruntime_c_api.h of release 1.30, https://github.com/microsoft/onnxruntime
 */
const FUNCTIONS = {
  GetErrorMessage: [2, 'const char*', ['void*']],
  CreateSessionFromArray: [8, 'void*', ['void*', 'void*', 'size_t', 'void*', 'void*']],
  CreateSessionOptions: [10, 'void*', ['void*']],
  DisableMemPattern: [17, 'void*', ['void*']],
  SetSessionLogSeverityLevel: [22, 'void*', ['void*', 'int']],
  CreateTensorAsOrtValue: [48, 'void*', ['void*', 'void*', 'size_t', 'int', 'void*']],
  CreateTensorWithDataAsOrtValue: [49, 'void*', ['void*', 'void*', 'size_t', 'void*', 'size_t', 'int', 'void*']],
  CreateRunOptions: [39, 'void*', ['void*']],
  GetTensorMutableData: [51, 'void*', ['void*', 'void*']],
  CreateMemoryInfo: [68, 'void*', ['const char*', 'int', 'int', 'int', 'void*']],
  CreateCpuMemoryInfo: [69, 'void*', ['int', 'int', 'void*']],
  ReleaseEnv: [92, 'void', ['void*']],
  ReleaseStatus: [93, 'void', ['void*']],
  ReleaseMemoryInfo: [94, 'void', ['void*']],
  ReleaseSession: [95, 'void', ['void*']],
  ReleaseValue: [96, 'void', ['void*']],
  ReleaseRunOptions: [97, 'void', ['void*']],
  ReleaseSessionOptions: [100, 'void', ['void*']],
  AddSessionConfigEntry: [130, 'void*', ['void*', 'const char*', 'const char*']],
  CreateAllocator: [131, 'void*', ['void*', 'void*', 'void*']],
  ReleaseAllocator: [132, 'void', ['void*']],
  CreateEnvWithGlobalThreadPools: [119, 'void*', ['int', 'const char*', 'void*', 'void*']],
  AddRunConfigEntry: [165, 'void*', ['void*', 'const char*', 'const char*']],
  DisablePerSessionThreads: [120, 'void*', ['void*']],
  CreateThreadingOptions: [121, 'void*', ['void*']],
  ReleaseThreadingOptions: [122, 'void', ['void*']],
  CreateAndRegisterAllocator: [144, 'void*', ['void*', 'void*', 'void*']],
  CreateArenaCfg: [156, 'void*', ['size_t', 'int', 'int', 'int', 'void*']],
  ReleaseArenaCfg: [157, 'void', ['void*']],
  UnregisterAllocator: [177, 'void*', ['void*', 'void*']],
  SetGlobalIntraOpNumThreads: [147, 'void*', ['void*', 'int']],
  SetGlobalSpinControl: [149, 'void*', ['void*', 'int']],
  RunWithBinding: [133, 'void*', ['void*', 'void*', 'void*']],
  CreateIoBinding: [134, 'void*', ['void*', 'void*']],
  ReleaseIoBinding: [135, 'void', ['void*']],
  BindInput: [136, 'void*', ['void*', 'const char*', 'void*']],
  BindOutput: [137, 'void*', ['void*', 'const char*', 'void*']],
  SessionOptionsAppendExecutionProvider_CUDA_V2: [204, 'void*', ['void*', 'void*']],
  CreateCUDAProviderOptions: [205, 'void*', ['void*']],
  UpdateCUDAProviderOptions: [206, 'void*', ['void*', 'void*', 'void*', 'size_t']],
  ReleaseCUDAProviderOptions: [208, 'void', ['void*']],
  SessionOptionsAppendExecutionProvider: [216, 'void*', ['void*', 'const char*', 'void*', 'void*', 'size_t']],
  SetDeterministicCompute: [273, 'void*', ['void*', 'bool']],
  RegisterExecutionProviderLibrary: [301, 'void*', ['void*', 'const char*', 'const char*']],
  CopyTensors: [386, 'void*', ['void*', 'void*', 'void*', 'void*', 'size_t']],
  Session_GetEpGraphAssignmentInfo: [407, 'void*', ['void*', 'void*', 'void*']],
  EpAssignedSubgraph_GetEpName: [408, 'void*', ['void*', 'void*']],
  EpAssignedSubgraph_GetNodes: [409, 'void*', ['void*', 'void*', 'void*']],
  EpAssignedNode_GetName: [410, 'void*', ['void*', 'void*']],
  EpAssignedNode_GetOperatorType: [412, 'void*', ['void*', 'void*']],
} as const;

type FunctionName = keyof typeof FUNCTIONS;
type ReleaseFunction = Extract<FunctionName, `Release${string}`>;
type StatusFunction = Exclude<FunctionName, 'GetErrorMessage' | ReleaseFunction>;
/** Functions whose last parameter receives a pointer. */
type CreateFunction = Exclude<
  Extract<StatusFunction, `Create${string}` | 'GetTensorMutableData' | `Ep${string}Name` | `Ep${string}Type`>,
  'CreateAndRegisterAllocator'
>;
type CallFunction = Exclude<StatusFunction, CreateFunction>;

type NativeArgument = Pointer | number | string | boolean | ArrayBufferView | null;

interface NativeTypes {
  'void*': Pointer | ArrayBufferView | null;
  'const char*': string;
  size_t: number;
  int: number;
  bool: boolean;
}
type NativeValues<P> = P extends readonly [infer Head extends keyof NativeTypes, ...infer Rest]
  ? [NativeTypes[Head], ...NativeValues<Rest>]
  : [];
/**
 * The arguments of a function by its parameters in the table. koffi takes a surplus argument silently and shifts the ones
 * after it, so the compiler has to count them.
 */
type Arguments<N extends FunctionName> = NativeValues<(typeof FUNCTIONS)[N][2]>;
type WithoutLast<A extends readonly unknown[]> = A extends [...infer Init, unknown] ? Init : never;

interface NativeFunction {
  (...values: readonly NativeArgument[]): unknown;
  async(...values: readonly unknown[]): void;
}

/** ONNX Runtime's library, loaded. Every call checks its status. */
export interface OrtLibrary {
  /** Calls a function that returns a status. @throws {KernelError} with the library's message. */
  call<N extends CallFunction>(name: N, ...values: Arguments<N>): void;
  /** The same for functions whose last parameter receives a pointer, which is returned. */
  create<N extends CreateFunction>(name: N, ...values: WithoutLast<Arguments<N>>): Pointer;
  /** The text at an address, up to its first zero byte. */
  text(pointer: Pointer): string;
  /** Texts as an array of their addresses, kept for good: for settings alone. */
  texts(values: readonly string[]): BigUint64Array;
  /** Addresses that lie one after the other in memory. */
  pointers(at: Pointer, count: number): Pointer[];
  /** Runs a bound session on a thread of the pool. */
  run(session: Pointer, binding: Pointer): Promise<void>;
  /** The same on this thread. */
  runHere(session: Pointer, binding: Pointer): void;
  release(name: ReleaseFunction, pointer: Pointer): void;
}

const LIBRARY_FILES: Readonly<Partial<Record<NodeJS.Platform, string>>> = {
  darwin: 'libonnxruntime.1.30.0.dylib',
  win32: 'onnxruntime.dll',
};

let loaded: OrtLibrary | undefined;

/**
 * Loads the library inside the npm package onnxruntime-node, once per process: its environment is a singleton.
 * @throws {KernelError} where it is absent or of another version
 */
export function loadOrtLibrary(): OrtLibrary {
  loaded ??= openLibrary();
  return loaded;
}

function openLibrary(): OrtLibrary {
  const path = libraryPath();
  if (!existsSync(path)) {
    const { platform, arch } = process;
    throw new KernelError(`${path} is absent: onnxruntime-node has no library for ${platform} ${arch}, or run npm ci`);
  }
  const handle = loadNative(path);
  const base = handle.func('void* OrtGetApiBase()')();
  const version: unknown = koffi.call(koffi.decode(base, 8, 'void*'), koffi.proto('const char* GetVersionString()'));
  if (typeof version !== 'string' || !version.startsWith(EXPECTED_VERSION)) {
    throw new KernelError(`${path} is ONNX Runtime ${String(version)}; expected ${EXPECTED_VERSION}x: run npm ci`);
  }
  const getApi = koffi.decode(koffi.decode(base, 0, 'void*'), koffi.proto('void* GetApi(uint32_t version)'));
  const api: Pointer = getApi(ORT_API_VERSION);
  return bindFunctions(api);
}

/** Where the library is, or would be. @throws {KernelError} where the package is not installed */
export function libraryPath(): string {
  const { platform, arch } = process;
  const file = LIBRARY_FILES[platform] ?? 'libonnxruntime.so.1';
  try {
    const entry = createRequire(import.meta.url).resolve('onnxruntime-node/package.json');
    return join(dirname(entry), 'bin', 'napi-v6', platform, arch, file);
  } catch (error) {
    throw new KernelError('the npm package onnxruntime-node is not installed; run npm ci', { cause: error });
  }
}

/** Held for good: the library does not hold what it is told the address of. */
const texts: Uint8Array[] = [];

function bindFunctions(api: Pointer): OrtLibrary {
  const functions = new Map<FunctionName, NativeFunction>();
  const native = (name: FunctionName): NativeFunction => {
    let bound = functions.get(name);
    if (bound === undefined) {
      const [index, result, parameters] = FUNCTIONS[name];
      const prototype = koffi.proto(`Ort${name}`, result, [...parameters]);
      const decoded: NativeFunction = koffi.decode(koffi.decode(api, index * 8, 'void*'), prototype);
      functions.set(name, decoded);
      bound = decoded;
    }
    return bound;
  };
  const check = (name: FunctionName, status: unknown): void => {
    if (status === null || status === 0n) return;
    if (typeof status !== 'bigint') throw new KernelError(`ONNX Runtime ${name} returned ${String(status)}`);
    const message = String(native('GetErrorMessage')(status));
    native('ReleaseStatus')(status);
    throw new KernelError(`ONNX Runtime ${name}: ${message}`);
  };
  return {
    call: (name, ...values) => check(name, native(name)(...values)),
    create(name, ...values) {
      const out = new BigUint64Array(1);
      check(name, native(name)(...values, out));
      return out[0]!;
    },
    text: (pointer) => String(koffi.decode(pointer, 'char', -1)),
    texts(values) {
      const bytes = values.map((value) => new TextEncoder().encode(`${value}\0`));
      texts.push(...bytes);
      return BigUint64Array.from(bytes, (text): Pointer => koffi.address(text));
    },
    pointers: (at, count) => Array.from({ length: count }, (_, i): Pointer => koffi.decode(at, 8 * i, 'void*') ?? 0n),
    run: (session, binding) =>
      new Promise((resolve, reject) => {
        native('RunWithBinding').async(session, null, binding, (error: unknown, status: unknown) => {
          try {
            if (error) throw error instanceof Error ? error : new KernelError('ONNX Runtime: the call was refused');
            check('RunWithBinding', status);
            resolve();
          } catch (failure) {
            reject(failure instanceof Error ? failure : new KernelError(String(failure)));
          }
        });
      }),
    runHere: (session, binding) => check('RunWithBinding', native('RunWithBinding')(session, null, binding)),
    release: (name, pointer) => {
      native(name)(pointer);
    },
  };
}
