import type { MessagePort } from 'node:worker_threads';
import type { OnnxDType } from '../../../soap/onnx/model.ts';
import type { TensorMemory } from '../kernels.ts';
import type { DeviceModel } from './device-model.ts';
import type { DeviceProviderName } from './providers.ts';

/** A number that the asking thread gave to a buffer, kernel or binding. */
export type Id = number;

/** A graph input or output in a binding. */
export interface DeviceValue {
  readonly name: string;
  readonly isInput: boolean;
  readonly buffer: Id;
  readonly shape: readonly number[];
}

/** What the thread of a device is asked to do; it does one thing after the other, in the order of asking. */
export type Request =
  | { readonly do: 'open' }
  /** Releases everything; nothing but `open` may follow. */
  | { readonly do: 'end' }
  | { readonly do: 'allocate'; readonly buffer: Id; readonly dtype: OnnxDType; readonly elements: number }
  /** The first bytes of a buffer, as one of its own over the same memory. */
  | {
      readonly do: 'view';
      readonly buffer: Id;
      readonly of: Id;
      readonly dtype: OnnxDType;
      readonly elements: number;
    }
  /** Says where the host's side of a buffer is. */
  | { readonly do: 'attach'; readonly buffer: Id; readonly memory: TensorMemory }
  | { readonly do: 'compile'; readonly kernel: Id; readonly graph: DeviceModel }
  | { readonly do: 'bind'; readonly binding: Id; readonly kernel: Id; readonly values: readonly DeviceValue[] }
  | { readonly do: 'run'; readonly binding: Id }
  | { readonly do: 'upload'; readonly buffers: readonly Id[] }
  | { readonly do: 'download'; readonly buffers: readonly Id[] }
  | { readonly do: 'release'; readonly ids: readonly Id[] };

/** A request with what the answer needs. */
export interface Envelope {
  /** Counts requests. */
  readonly number: number;
  readonly request: Request;
  /** Where the asking thread waits without turning its event loop, until it is not 0. */
  readonly signal?: Int32Array;
}

/** That a request is done; or why it is not, in a sentence. */
export interface Answer {
  readonly number: number;
  readonly error?: string;
}

/** What the thread of a device starts with. */
export interface ThreadData {
  readonly provider: DeviceProviderName;
  /** Which GPU of the machine, counted from 0. */
  readonly gpu: number;
  readonly port: MessagePort;
  /** Not 0 once the thread has started. */
  readonly started: Int32Array;
}
