import type { ClusterDescription } from '../../soap/cluster/cluster.ts';
import type { TrainingJob } from '../../soap/job/training-job.ts';
import type { JobFiles } from './model-file.ts';
import type { SearchReport } from './search-records.ts';

/** What a search needs, as it goes to its thread. */
export interface SearchRequest extends JobFiles {
  readonly job: TrainingJob;
  readonly cluster: ClusterDescription;
  /** Tables of measured costs, compressed. */
  readonly costs: readonly Uint8Array[];
  /** The plan that runs, as text, and its nodes with their numbers of now: to be predicted beside the new one. */
  readonly current?: { readonly plan: string; readonly cluster: ClusterDescription };
}

/** The text of a plan file, or a sentence about why there is none. */
export type SearchAnswer =
  | { readonly plan: string; readonly currentIterationMs?: number | undefined }
  | { readonly failure: string; readonly infeasible?: boolean };

/** The best so far of a search under way, sent at a bounded rate. */
export interface SearchProgressMessage {
  readonly progress: SearchReport;
}
