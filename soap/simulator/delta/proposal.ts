import type { OpConfig } from '../../strategy/strategy.ts';

/** An op's new configuration. */
export interface ConfigChange {
  readonly op: number;
  readonly config: OpConfig;
}

/** How much a proposal may come to, before it does not matter any more. */
export interface Limits {
  readonly makespanUs?: number;
  /** See {@link DeltaSimulation.workUs}. */
  readonly workUs?: number;
}

/** What a proposed change gives. */
export interface ProposalOutcome {
  /** Infinity where one of the limits is certain to be exceeded; NaN where it cannot be executed, and was not simulated. */
  readonly makespanUs: number;
  /** Sum over the devices of what they would need beyond what they have. */
  readonly missingMemoryBytes: number;
  /** What messages have beyond what one may have, in all. */
  readonly oversizedMessageBytes: number;
}
