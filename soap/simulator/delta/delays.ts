/** What the fastest part of an op takes. */
export interface OpDelay {
  readonly forwardUs: number;
  readonly backwardUs: number;
}

/** How long an edge keeps any part waiting, at least. */
export interface EdgeDelay {
  /** Of the consumer's parts: the one that is served fastest waits so long for its slowest transfer. */
  readonly activationUs: number;
  /** The same of the producer's parts and gradients. */
  readonly gradientUs: number;
}
