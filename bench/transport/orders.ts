export const HOST = '127.0.0.1';
export const MIB: number = 2 ** 20;

/** Ports of all processes. */
export interface Ports {
  readonly transport: readonly number[];
  readonly raw: readonly number[];
}

/** What a process of the bench is told to do; all of them are told the same at once. */
export type Order =
  | { readonly kind: 'join'; readonly self: number; readonly ports: Ports }
  | { readonly kind: 'stream'; readonly messages: number; readonly over: 'transport' | 'raw' }
  | { readonly kind: 'ring'; readonly messages: number }
  | { readonly kind: 'sum'; readonly bytes: number }
  | { readonly kind: 'ping'; readonly trips: number; readonly over: 'transport' | 'raw' }
  | { readonly kind: 'copy'; readonly bytes: number }
  | { readonly kind: 'leave' };

/** What it measured. */
export interface Outcome {
  readonly ms?: number;
  readonly processorMs?: number;
  readonly timesUs?: readonly number[];
  readonly bytesPerMs?: number;
  readonly failure?: string;
}
