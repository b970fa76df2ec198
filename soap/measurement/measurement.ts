import type { KernelProvider } from '../job/kernel-providers.ts';

/** A running job as it was measured over its last steps. */
export interface Measurement {
  readonly attempt: number;
  /** Steps done, and in all. */
  readonly step: number;
  readonly steps: number;
  /** Not a number, or infinite, where training has diverged. */
  readonly loss: number | undefined;
  readonly iterationMs: number;
  /** Of the devices that were asked: the leader's pod's, or all where the prediction is off. */
  readonly devices: readonly DeviceMeasurement[];
  /** Ways between devices, as they were measured before the first step; absent until all pods were asked. */
  readonly links?: readonly LinkMeasurement[];
  /** Steps in the newest checkpoint; 0 where there is none. */
  readonly checkpointStep: number;
  /** How long the last checkpoint took; undefined where none was written. */
  readonly checkpointSeconds: number | undefined;
  /** From the start of the leader's process to the end of its first step. */
  readonly startupSeconds: number | undefined;
}

/** Means of an iteration of one device, since its process started. */
export interface DeviceMeasurement {
  readonly device: number;
  /** What its kernels run on; absent where the device does not say it. */
  readonly kernels?: KernelProvider | undefined;
  readonly computeMs: number;
  /** By the plan; undefined where the device does not say it. */
  readonly predictedComputeMs: number | undefined;
  /** The op whose kernels part most from their prediction; absent where the device does not say it. */
  readonly farthestOp?: { readonly op: string; readonly ms: number; readonly predictedMs: number } | undefined;
  /** The peer whose messages it waited for longest, no longer than it waited in all; undefined where it talks to none. */
  readonly awaited: { readonly peer: number; readonly waitMs: number } | undefined;
}

/** What the way from one device to another carries. */
export interface LinkMeasurement {
  readonly from: number;
  readonly to: number;
  readonly measuredBytesPerSec: number;
  readonly plannedBytesPerSec: number;
}
