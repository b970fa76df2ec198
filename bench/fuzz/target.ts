/** One reader of bytes that come from outside. To fuzz another is to add a file in targets/ and a line in targets/index.ts. */
export interface FuzzTarget {
  /** What `--only` and the table call it. */
  readonly name: string;
  /** How many cases it gets for each of the others; less for readers that go through files. 1 where left out. */
  readonly share?: number;
  /** Whole inputs, from which all others are made. */
  seeds(): Promise<readonly Uint8Array[]>;
  /**
   * Reads an input to its end. Either it returns, or it throws what {@link isRefusal} takes for a refusal; anything else,
   * and an input that takes all memory, is a finding.
   */
  read(bytes: Uint8Array): void | Promise<void>;
  /** Errors, beyond plain `Error`, that say in a sentence what is wrong with the input; a TypeError never does. */
  readonly refusals?: readonly (abstract new (...args: never[]) => Error)[];
  /** Removes what seeds() made on disk. */
  close?(): Promise<void>;
}
