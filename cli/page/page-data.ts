import type { Explanation, OpExplanation } from '../../soap/explain/explanation.ts';
import type { DimensionKind } from '../../soap/ops/op.ts';
import type { CurvePoint, PlanPrediction } from '../../soap/plan/plan.ts';

/** What a slice of the timeline is; slices carry the index. */
export const SLICE_KINDS = ['forward', 'backward', 'update', 'activation', 'gradient', 'gather', 'collective'] as const;

/** An op in the picture of the graph. */
export interface PageOp extends OpExplanation {
  /** Degrees above 1 with what is split, in order. */
  readonly cuts: readonly { readonly name: string; readonly kind: DimensionKind; readonly degree: number }[];
  /** By part. */
  readonly partDevices: readonly number[];
  /** Of its box's middle. */
  readonly x: number;
  readonly y: number;
}

/** A row of the timeline; its slices follow those of the row before. */
export interface PageRow {
  readonly name: string;
  readonly kind: 'device' | 'link';
  readonly sliceCount: number;
}

/** A device's memory over time, thinned out; each point the most until the next. */
export interface PageMemory {
  readonly device: string;
  readonly capacityBytes: number;
  readonly neededBytes: number;
  /** Whether that is no estimate. */
  readonly isExact: boolean;
  readonly peakBytes: number;
  readonly timesUs: readonly number[];
  readonly bytes: readonly number[];
}

/** Everything that the page shows. Lists of numbers are base64 of little-endian arrays. */
export interface PageData {
  readonly explanation: Omit<Explanation, 'ops' | 'criticalPath'>;
  readonly ops: readonly PageOp[];
  readonly edges: readonly (readonly (readonly [number, number])[])[];
  readonly graphWidth: number;
  readonly graphHeight: number;
  /** By op, the ops that read its results. */
  readonly successors: readonly (readonly number[])[];
  readonly nodes: readonly { readonly name: string; readonly devices: readonly number[] }[];
  readonly deviceTypes: readonly string[];
  readonly rows: readonly PageRow[];
  /** Float32 start and duration, Uint32 op * 8 + kind. */
  readonly sliceStartUs: string;
  readonly sliceDurationUs: string;
  readonly sliceCode: string;
  /** The critical path: Float32 from and to, Uint32 row. */
  readonly pathFromUs: string;
  readonly pathToUs: string;
  readonly pathRow: string;
  readonly memory: readonly PageMemory[];
  readonly origin: string;
  readonly baselines: Readonly<Record<string, PlanPrediction>>;
  /** Absent where the plan file has none. */
  readonly curve?: readonly CurvePoint[];
}

/** Size of an op's box in the picture of the graph. */
export const OP_BOX = { width: 148, height: 62 } as const;
