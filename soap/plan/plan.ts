import type { ClusterDescription } from '../cluster/cluster.ts';
import type { CostBasis } from '../cost/cost-source.ts';
import type { LossSettings, ModelSource, OptimizerName, WireType } from '../job/training-job.ts';
import type { CollectiveAlgorithm } from '../tasks/task-graph.ts';
import type { PLAN_VERSION } from './plan-schema.ts';

/** Costs of one strategy, as the simulator predicts them. */
export interface PlanPrediction {
  readonly iterationMs: number;
  readonly samplesPerSecond: number;
  readonly transferredBytes: number;
  readonly computeMs: number;
  readonly peakMemoryBytes: number;
  readonly feasible: boolean;
  /** What the devices would need beyond what they have, in all; absent in older files. */
  readonly missingMemoryBytes?: number;
  /** What messages have beyond what one may have, in all; absent where none is too large. */
  readonly oversizedMessageBytes?: number;
}

/** One op's split, by names: degrees above 1, and the device of each part. */
export interface PlannedOp {
  /** What the op is and the shape of its first output, so that differences from a model can be told; absent in older files. */
  readonly kind?: string;
  readonly shape?: readonly number[];
  readonly degrees: Readonly<Record<string, number>>;
  readonly devices: readonly string[];
  /** Predicted time of its kernels in a micro-batch, on the device that does most of it; absent in older files. */
  readonly computeMs?: number;
}

/** Where a planned model comes from; of an ONNX file also its SHA-256 in hex, which older files do not have. */
export type PlannedSource = ModelSource & { readonly sha256?: string };

/** The best of a search at some moment. */
export interface CurvePoint {
  readonly seconds: number;
  readonly proposals: number;
  readonly iterationMs: number;
}

/** The settings of a search, and how it went. */
export interface PlanSearch {
  readonly seed: number;
  /** Its budget. */
  readonly seconds: number;
  readonly proposalLimit?: number;
  readonly beta: number;
  readonly chains: number;
  readonly start: readonly string[];
  readonly proposals: number;
  readonly accepted: number;
  readonly stoppedBy: string;
  /** Each improvement that was reported; absent in older files. */
  readonly curve?: readonly CurvePoint[];
}

/** What the model is trained with, as far as it changes tasks or memory. */
interface PlannedTraining {
  readonly loss: LossSettings;
  readonly optimizer: OptimizerName;
  /** How gradients might be summed; every way where absent. */
  readonly collectives?: readonly CollectiveAlgorithm[];
  /** How activations and gradients travel; float32 where absent. */
  readonly wire?: WireType;
  /** Whether the norm of all gradients together is limited; it is not where absent. */
  readonly clipsGradients?: boolean;
  /** Micro-batches of a step; 1 where absent. */
  readonly gradientAccumulationSteps?: number;
  /** Names of the parameters that keep their values; none where absent. */
  readonly frozen?: readonly string[];
}

/** A plan: everything that is needed to run it, to predict it again, and to search it again. */
export interface Plan {
  readonly version: typeof PLAN_VERSION;
  /** The version of Soapstone that wrote it. */
  readonly soapstone: string;
  readonly model: {
    readonly name: string;
    readonly fingerprint: string;
    /** Samples of a step, over all micro-batches. */
    readonly batch: number;
    /** Where it comes from; an ONNX file's path as it was given. Absent where that is not known. */
    readonly source?: PlannedSource;
  };
  /** Absent in older files. */
  readonly training?: PlannedTraining;
  readonly cluster: ClusterDescription;
  /** By op name. */
  readonly ops: Readonly<Record<string, PlannedOp>>;
  readonly prediction: PlanPrediction;
  readonly baselines: Readonly<Record<string, PlanPrediction>>;
  /** The strategy's origin: `search`, or the baseline that was asked for. */
  readonly origin: string;
  /** Which share of the compute time rests on measured, interpolated and data-sheet costs; absent in older files. */
  readonly costs?: Readonly<Record<CostBasis, number>>;
  /** Absent where nothing was searched. */
  readonly search?: PlanSearch;
}
