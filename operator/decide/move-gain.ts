import type { V1Pod } from '@kubernetes/client-node';
import type { Measurement } from '../../soap/measurement/measurement.ts';

/** How long pods take to start where they do not say. Source: Kubernetes' default grace period, in which the old ones end. */
const POD_START_SECONDS = 30;

/** What a move is expected to change. */
export interface MoveGain {
  readonly currentMs: number;
  readonly nextMs: number;
  readonly restartSeconds: number;
  /** Until the end of the job, the restart subtracted. */
  readonly savedSeconds: number;
  /** Of the time that is left without a move. */
  readonly share: number;
}

/**
 * Compares staying with moving until the job's last step. The new plan is trusted as far as the old one: where iterations take
 * longer than predicted now, they will there too.
 * @param predicted by the same simulator, with numbers of the same time
 */
export function moveGain(
  { step, steps, iterationMs: currentMs }: Measurement,
  predicted: { readonly currentMs: number; readonly nextMs: number },
  restartSeconds: number,
): MoveGain {
  const nextMs = predicted.nextMs * (currentMs / predicted.currentMs);
  const left = steps - step;
  const staySeconds = (left * currentMs) / 1000;
  const savedSeconds = (left * (currentMs - nextMs)) / 1000 - restartSeconds;
  const share = savedSeconds / staySeconds;
  return { currentMs, nextMs, restartSeconds, savedSeconds, share: Number.isFinite(share) ? share : 0 };
}

/**
 * What a restart costs this job, by how its last one went: its pods' start (scheduling, image, volumes), the start of its
 * processes (model, kernels, the checkpoint read), and the writing of a checkpoint.
 * @param pods of the attempt that runs
 */
export function restartCost(
  pods: readonly V1Pod[],
  { startupSeconds = 0, checkpointSeconds = 0 }: Measurement,
): number {
  const created = pods.map(({ metadata }) => timeOf(metadata?.creationTimestamp));
  const started = pods.map(({ status }) => timeOf(status?.containerStatuses?.[0]?.state?.running?.startedAt));
  const seconds = (Math.max(...started) - Math.min(...created)) / 1000;
  const podSeconds = Number.isFinite(seconds) && seconds >= 0 ? seconds : POD_START_SECONDS;
  return podSeconds + startupSeconds + checkpointSeconds;
}

/** The cache holds times as the server writes them, as text; the library's type says Date. */
function timeOf(time: Date | undefined): number {
  return time === undefined ? Number.NaN : new Date(time).getTime();
}
