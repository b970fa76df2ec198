import type { V1ObjectMeta } from '@kubernetes/client-node';

/** Conditions in the order in which a job passes them. */
export const CONDITION_TYPES = [
  'Accepted',
  'TopologyDiscovered',
  'CostsMeasured',
  'PlanFound',
  'PodsReady',
  'DevicesUsed',
  'LinksAccurate',
  'PredictionAccurate',
  'MovePlanned',
  'Suspended',
  'Complete',
  'Failed',
] as const;

export type ConditionType = (typeof CONDITION_TYPES)[number];

/** Source: Kubernetes API conventions, "typical status properties". */
export interface Condition {
  readonly type: ConditionType;
  readonly status: 'True' | 'False' | 'Unknown';
  /** CamelCase, for machines. */
  readonly reason: string;
  /** A sentence, for people: what is so, and what to do about it. */
  readonly message: string;
  /** Changes only with `status`. */
  readonly lastTransitionTime: string;
  readonly observedGeneration: number;
}

/** What a user sees in the State column. */
export type JobState =
  | 'Invalid'
  | 'WaitingForDevices'
  | 'Searching'
  | 'Queued'
  | 'Starting'
  | 'Restarting'
  | 'Running'
  | 'Suspended'
  | 'Complete'
  | 'Failed';

/** Why pods of an attempt did not do their work. */
export type FailureClass =
  | 'NodeLost'
  | 'Evicted'
  | 'Preempted'
  | 'NotPlaced'
  | 'FileMissing'
  | 'OutOfMemory'
  | 'Crashed'
  | 'PeerLost';

export interface JobStatus {
  readonly state: JobState;
  /** Reason and message of the condition that explains the state. */
  readonly reason: string;
  readonly message: string;
  readonly observedGeneration: number;
  /** Counted from 0; each restart of the pods is one more. */
  readonly attempt: number;
  readonly devices: number;
  /** Predicted iteration time, for the Iteration column; absent until there is a plan. */
  readonly iteration?: string;
  /** What the plan's times rest on. */
  readonly costs?: CostsStatus;
  /** Share of the steps that are done, such as `24 %`; absent until one was measured. */
  readonly progress?: string;
  /** What the running pods measured, as of the last minute or so. */
  readonly measured?: MeasuredStatus;
  /** Ways between devices that are not as fast as the plan takes them to be, the farthest off first; at most eight. */
  readonly links?: readonly LinkStatus[];
  /** Where moving to better nodes stands; absent without spec.moves. */
  readonly move?: MoveStatus;
  /** Attempts that ended without success, by why; only Crashed and OutOfMemory count towards spec.backoffLimit. */
  readonly failures: Readonly<Partial<Record<FailureClass, number>>>;
  /** When the last attempt was given up, RFC 3339. */
  readonly restartTime?: string;
  /** Why the last attempt was given up, in a sentence without its end; absent where the job moved since. */
  readonly lastFailure?: string;
  /** The last attempts that were given up, the newest first; at most five, and of several in a row that lacked the same only the last. */
  readonly restarts?: readonly RestartStatus[];
  /** When the job started, or went on after it was suspended, RFC 3339; spec.activeDeadlineSeconds counts from here. */
  readonly startTime?: string;
  /** What cannot change since the job got its pods: JSON by path of a field, and `version`, the one that filled in the defaults. */
  readonly fixed?: Readonly<Record<string, string>>;
  /** Node labels that a queue admitted the pods to, unlike the plan; the next plan is for such nodes. */
  readonly admitted?: Readonly<Record<string, string>>;
  /** Nodes that did not take pods of the job, each with when, RFC 3339; plans leave them out for a while. */
  readonly unplaced?: Readonly<Record<string, string>>;
  readonly topology: {
    /** Every number that the search used, with where it comes from. */
    readonly sources: readonly string[];
    /** Nodes left out, each with the reason. */
    readonly skipped: readonly string[];
  };
  readonly conditions: readonly Condition[];
}

/** Why an attempt was given up, which its pods cannot tell any more once they are deleted. */
export interface RestartStatus {
  readonly attempt: number;
  /** When it was given up, RFC 3339. */
  readonly time: string;
  /** As of the condition PodsReady then. */
  readonly reason: string;
  /** Which pod, on which node, and why: a sentence without its end. */
  readonly message: string;
  /** The last lines of the container that failed, where there was more than the message repeats; at most 1000 characters. */
  readonly log?: string;
}

/** What the times of tasks rest on, as people read it. */
export interface CostsStatus {
  /** Shares of the plan's compute time, such as `83 %`; absent until there is a plan that says so. */
  readonly measured?: string;
  readonly interpolated?: string;
  readonly roofline?: string;
  /** Types of devices that could not be measured, each with the reason; it is not tried again for this job. */
  readonly unmeasured?: Readonly<Record<string, string>>;
}

/** Measurements, as people read them. */
export interface MeasuredStatus {
  /** Mean time of an iteration, such as `12.3 ms`. */
  readonly iteration: string;
  readonly step: number;
  readonly steps: number;
  readonly loss?: string;
}

/** A way between two devices, as people read it. */
export interface LinkStatus {
  readonly from: string;
  readonly to: string;
  /** Such as `0.88 GB/s`. */
  readonly measured: string;
  readonly planned: string;
}

/** What the next visit must know of moves. */
export interface MoveStatus {
  /** When the job moved last, RFC 3339. */
  readonly moveTime?: string;
  /** When a search for better nodes began last, RFC 3339. */
  readonly searchTime?: string;
  /** Digest of nodes that were searched and did not pay. */
  readonly rejected?: string;
  /** The job moves once it has a checkpoint of more steps than these. */
  readonly afterCheckpoint?: number;
}

/** A TrainingJob as the API server has it; its spec is not validated yet. */
export interface TrainingJobResource {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: V1ObjectMeta;
  readonly spec: unknown;
  readonly status?: Partial<JobStatus>;
}
