import type { KubernetesObject, V1Node, V1Pod } from '@kubernetes/client-node';
import type { ClusterDescription } from '../../soap/cluster/cluster.ts';
import type { TrainingJob } from '../../soap/job/training-job.ts';
import type { Plan } from '../../soap/plan/plan.ts';
import type { JobStatus, TrainingJobResource } from '../api/resource.ts';
import type { ClusterObjects } from '../discovery/discover.ts';
import type { Measurement } from '../../soap/measurement/measurement.ts';

/** How a job's search stands. */
export type SearchState =
  | { readonly kind: 'none' }
  | {
      readonly kind: 'running';
      /** The model could not be had before, and is not had yet. */
      readonly unread?: boolean;
      /** The best so far. */
      readonly progress?: { readonly proposals: number; readonly iterationMs: number };
    }
  /** A sentence about the model or the cluster; whether more memory would help. */
  | {
      readonly kind: 'failed';
      readonly message: string;
      readonly infeasible?: boolean;
      /** Time since the epoch from which the same may be tried again: what failed may go better then. */
      readonly retryAtMs?: number;
    }
  | {
      readonly kind: 'found';
      readonly plan: Plan;
      /** Of a search for a move: what the plan that runs is predicted to take with the numbers of now. */
      readonly currentIterationMs?: number | undefined;
    };

/** Why the last try to create the children failed. */
export interface ApplyFailure {
  /** HTTP status; undefined where the API server was not reached. */
  readonly code: number | undefined;
  readonly message: string;
  /** Whether somebody else's object has the name of one of them. */
  readonly nameTaken?: boolean;
}

/** What is known of a table of measured costs; one that is not there has no models. */
export interface KnownCosts {
  /** Whose kernels were measured, by `modelKey`. */
  readonly models: readonly string[];
}

/** The report of a pod that has measured a device. */
export interface ReportToTake {
  readonly pod: string;
  readonly uid: string;
  /** Name of the table. */
  readonly table: string;
  readonly deviceType: string;
  readonly model: string;
}

/** Everything a decision rests on. */
export interface Observed {
  readonly resource: TrainingJobResource;
  readonly nodes: readonly V1Node[];
  /** Of all namespaces. */
  readonly pods: readonly V1Pod[];
  /** What else tells of devices; none where it is not read. */
  readonly objects?: ClusterObjects;
  /** The plan in the job's ConfigMap, if it has one already. */
  readonly plan: Plan | undefined;
  readonly search: SearchState;
  /** Of nodes that may be better than those the job runs on; none where absent. */
  readonly moveSearch?: SearchState;
  /** Tables of measured costs in the job's namespace that were read lately, by name; absent where there are none to be had. */
  readonly costs?: ReadonlyMap<string, KnownCosts>;
  /** Why the reports of pods that measured devices are not used, by uid. */
  readonly rejectedReports?: ReadonlyMap<string, string>;
  /** What the running attempt's pods say; absent until they do. */
  readonly measurement?: Measurement | undefined;
  readonly applyError: ApplyFailure | undefined;
}

/** Something to tell the user, once. */
export interface JobEvent {
  readonly type: 'Normal' | 'Warning';
  readonly reason: string;
  readonly message: string;
}

/** A pod to delete. */
export interface PodRemoval {
  readonly name: string;
  /** Without waiting for its node, which is gone. */
  readonly force: boolean;
}

/** A pod, and the node that it is for. */
export interface PodPlacement {
  readonly name: string;
  /** Of the node. */
  readonly hostname: string;
}

/** A search for a move from the plan that runs. */
export interface MoveSearch {
  readonly job: TrainingJob;
  /** Where the job might go. */
  readonly cluster: ClusterDescription;
  readonly current: {
    readonly plan: Plan;
    /** The nodes of the plan with their numbers as they are now. */
    readonly cluster: ClusterDescription;
  };
  /** See {@link Actions.startSearch}. */
  readonly costs: readonly string[];
}

/** An object that a job needs. */
export type Child = KubernetesObject & { readonly metadata: { readonly name: string; readonly namespace: string } };

/** What only the pods of an attempt know: a token; where devices talk by TLS, a certificate too. */
export type SecretKind = 'token' | 'certificate';

/** What is to be done after the status was written; nothing of it has been done yet. */
export interface Actions {
  /** Objects to apply. */
  readonly children: readonly Child[];
  /** Pods to create where they do not exist: a pod cannot be changed. */
  readonly pods: readonly Child[];
  /** Secrets of the attempt that must exist before its pods. */
  readonly secrets: readonly SecretKind[];
  readonly deletePods: readonly PodRemoval[];
  /** Names of the objects of former attempts, whose secrets go with them. */
  readonly deleteAttempts: readonly string[];
  /** Names of the queue's Workloads that hold deleted pods. */
  readonly deleteWorkloads: readonly string[];
  /** Pods whose own scheduling gate is lifted, each for its node. */
  readonly ungatePods: readonly PodPlacement[];
  readonly startSearch:
    | {
        readonly job: TrainingJob;
        readonly cluster: ClusterDescription;
        /** The pod that has read the storage, where the controller cannot. */
        readonly inspector: string | undefined;
        /** Names of the tables of measured costs that it may rest on. */
        readonly costs: readonly string[];
      }
    | undefined;
  /** Names of tables of measured costs that are to be read, for the next visit. */
  readonly readCosts: readonly string[];
  /** What pods have measured, to be taken into tables. */
  readonly takeReports: readonly ReportToTake[];
  readonly startMoveSearch: MoveSearch | undefined;
  /** The result of the last search is of no more use. */
  readonly forgetSearch: boolean;
  readonly forgetMoveSearch: boolean;
  /** The job itself, once its time after the end is over. */
  readonly deleteJob: boolean;
  readonly requeueAfterMs: number | undefined;
}

export interface Decision extends Actions {
  readonly status: JobStatus;
  readonly events: readonly JobEvent[];
}

export interface DecideOptions {
  readonly now: Date;
  readonly image: string;
  /** All pods of an attempt must be placed within this time, or all are given back. */
  readonly placementDeadlineMs: number;
  /** Namespace whose pods may read the metrics of runtime pods. */
  readonly scraperNamespace: string;
  /** The controller's own, which reads them too. */
  readonly controllerNamespace: string;
  /** Whether the controller reads hostPath volumes of its own node; else a pod of the job does. */
  readonly hostPathModels: boolean;
  /** Whether pods read what the controller cannot, and it reads their logs. */
  readonly inspectPods: boolean;
  /** Whether pods measure devices before the first search for them, and the controller reads their logs. */
  readonly profilePods: boolean;
  /** How long such a pod measures. */
  readonly profileSeconds: number;
  /** Whether models are fetched from private addresses too. */
  readonly modelPrivateAddresses: boolean;
  /** That pods may reach for DNS. */
  readonly dnsPorts: readonly number[];
  /** Whether pods have the user of the project's image; else the cluster gives them one. */
  readonly fixedUser: boolean;
}
