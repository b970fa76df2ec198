/** What one task does, as far as its duration depends on it. */
export interface TaskWork {
  /** The op's kind with part shapes, for tables of measured times. */
  readonly signature: string;
  readonly direction: 'forward' | 'backward' | 'update';
  readonly flops: number;
  /** Bytes read and written, each once. */
  readonly memoryBytes: number;
}
