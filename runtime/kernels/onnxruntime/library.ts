import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import koffi from 'koffi';
import { KernelError } from '../kernels.ts';

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
  CreateEnv: [3, 'void*', ['int', 'const char*', 'void*']],
  CreateSessionFromArray: [8, 'void*', ['void*', 'void*', 'size_t', 'void*', 'void*']],
  CreateSessionOptions: [10, 'void*', ['void*']],
  DisableMemPattern: [17, 'void*', ['void*']],
  SetSessionLogSeverityLevel: [22, 'void*', ['void*', 'int']],
  SetIntraOpNumThreads: [24, 'void*', ['void*', 'int']],
  CreateTensorWithDataAsOrtValue: [49, 'void*', ['void*', 'void*', 'size_t', 'void*', 'size_t', 'int', 'void*']],
  CreateCpuMemoryInfo: [69, 'void*', ['int', 'int', 'void*']],
  ReleaseEnv: [92, 'void', ['void*']],
  ReleaseStatus: [93, 'void', ['void*']],
  ReleaseMemoryInfo: [94, 'void', ['void*']],
  ReleaseSession: [95, 'void', ['void*']],
  ReleaseValue: [96, 'void', ['void*']],
  ReleaseSessionOptions: [100, 'void', ['void*']],
  AddSessionConfigEntry: [130, 'void*', ['void*', 'const char*', 'const char*']],
  RunWithBinding: [133, 'void*', ['void*', 'void*', 'void*']],
  CreateIoBinding: [134, 'void*', ['void*', 'void*']],
  ReleaseIoBinding: [135, 'void', ['void*']],
  BindInput: [136, 'void*', ['void*', 'const char*', 'void*']],
  BindOutput: [137, 'void*', ['void*', 'const char*', 'void*']],
} as const;

type FunctionName = keyof typeof FUNCTIONS;
type StatusFunction = Exclude<FunctionName, 'GetErrorMessage' | ReleaseFunction>;
type ReleaseFunction = Extract<FunctionName, `Release${string}`>;

type NativeArgument = Pointer | number | string | ArrayBufferView | null;

interface NativeFunction {
  (...values: readonly NativeArgument[]): unknown;
  async(...values: readonly unknown[]): void;
}

/** ONNX Runtime's library, loaded. Every call checks its status. */
export interface OrtLibrary {
  /** Calls a function that returns a status. @throws {KernelError} with the library's message. */
  call(name: StatusFunction, ...values: readonly NativeArgument[]): void;
  /** The same for functions whose last parameter receives a pointer, which is returned. */
  create(name: StatusFunction, ...values: readonly NativeArgument[]): Pointer;
  /** Runs a bound session on a thread of the pool. */
  run(session: Pointer, binding: Pointer): Promise<void>;
  release(name: ReleaseFunction, pointer: Pointer): void;
}

let loaded: OrtLibrary | undefined;
/** Held for good: a handle that is collected unloads the library under the functions taken from it. */
let handle: ReturnType<typeof koffi.load> | undefined;

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
  handle = koffi.load(path);
  const base = handle.func('void* OrtGetApiBase()')();
  const version: unknown = koffi.call(koffi.decode(base, 8, 'void*'), koffi.proto('const char* GetVersionString()'));
  if (typeof version !== 'string' || !version.startsWith(EXPECTED_VERSION)) {
    throw new KernelError(`${path} is ONNX Runtime ${String(version)}; expected ${EXPECTED_VERSION}x: run npm ci`);
  }
  const getApi = koffi.decode(koffi.decode(base, 0, 'void*'), koffi.proto('void* GetApi(uint32_t version)'));
  const api: Pointer = getApi(ORT_API_VERSION);
  return bindFunctions(api);
}

function libraryPath(): string {
  const { platform, arch } = process;
  const file = platform === 'darwin' ? 'libonnxruntime.1.30.0.dylib' : 'libonnxruntime.so.1';
  try {
    const entry = createRequire(import.meta.url).resolve('onnxruntime-node/package.json');
    return join(dirname(entry), 'bin', 'napi-v6', platform, arch, file);
  } catch (error) {
    throw new KernelError('the npm package onnxruntime-node is not installed; run npm ci', { cause: error });
  }
}

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
  const call: OrtLibrary['call'] = (name, ...values) => check(name, native(name)(...values));
  return {
    call,
    create(name, ...values) {
      const out = new BigUint64Array(1);
      call(name, ...values, out);
      return out[0]!;
    },
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
    release: (name, pointer) => {
      native(name)(pointer);
    },
  };
}
