/** What the fastest part of an op takes. */
export interface OpDelay {
  readonly forwardUs: number;
  readonly backwardUs: number;
}

/** How long an edge keeps any part waiting, at least. */
export interface EdgeDelay {
  /** Of the consumer's parts: the one that is served fastest waits so long for its slowest transfer. */
  readonly activationUs: number;
  /** Whether all of the consumer's parts wait for it. */
  readonly isForAll: boolean;
  /** The same of the producer's parts and gradients; -Infinity where some of these wait for none. */
  readonly gradientUs: number;
}
