/**
 * A parallelization strategy: per op, how many parts each of its dimensions is cut into and which device has each part
 * (paper, section 4).
 */

/**
 * How one op is split. Parts are numbered row-major over `degrees` (the last dimension varies fastest).
 */
export interface OpConfig {
  /** Parts per dimension, aligned with the op's {@link Dimension} list; each divides the dimension's size. */
  readonly degrees: readonly number[];
  /** Device id of each part; its length is the product of `degrees`. */
  readonly devices: readonly number[];
}

/** One configuration per op, indexed by op id. */
export interface Strategy {
  readonly configs: readonly OpConfig[];
}
