import type { Random } from '../../soap/random.ts';

/** Makes another input of a whole one by its structure, so that what lies behind the outer form is reached too. */
export type StructuredMutation = (seed: Uint8Array, random: Random) => Uint8Array;

/** One reader of bytes that come from outside. To fuzz another is to add a file in targets/ and a line in targets/index.ts. */
export interface FuzzTarget {
  /** What `--only` and the table call it. */
  readonly name: string;
  /** Of a thousand cases of all targets together, its own: fewer where one takes long. */
  readonly share: number;
  /** Whole inputs, from which all others are made. */
  seeds(): Promise<readonly Uint8Array[]>;
  /** How half of the inputs are made; without it all are made byte by byte. */
  readonly structured?: StructuredMutation;
  /**
   * Reads an input to its end. Either it returns, or it throws what `isRefusal` takes for a refusal; anything else,
   * and an input that takes all memory, is a finding.
   */
  read(bytes: Uint8Array): void | Promise<void>;
  /** Errors, beyond plain `Error`, that say in a sentence what is wrong with the input; a TypeError never does. */
  readonly refusals?: readonly (abstract new (...args: never[]) => Error)[];
  /** Removes what seeds() made on disk. */
  close?(): Promise<void>;
}
