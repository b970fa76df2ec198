import type { V1Pod } from '@kubernetes/client-node';
import type { TrainingJobResource } from '../api/resource.ts';
import { childNames, JOB_LABEL } from '../decide/children.ts';
import { isTrue } from '../decide/conditions.ts';
import { attemptOf, isOwn } from '../decide/visit.ts';
import type { Target } from './follower.ts';

/** The jobs that run, each with the addresses of its attempt's pods. */
export function runningJobs(jobs: readonly TrainingJobResource[], pods: readonly V1Pod[]): Target[] {
  // Pods of a job whose spec is refused run on.
  const running = jobs.filter(
    (job) => job.status?.state === 'Running' || (job.status?.state === 'Invalid' && isTrue(job, 'PodsReady')),
  );
  if (running.length === 0) return [];
  const byJob = Map.groupBy(pods, ({ metadata }) => `${metadata?.namespace}/${metadata?.labels?.[JOB_LABEL]}`);
  return running.map((job): Target => {
    const { name = '', namespace, uid = '' } = job.metadata;
    const { attempt = 0, move } = job.status ?? {};
    const key = `${namespace}/${name}`;
    const own = (byJob.get(key) ?? []).filter((pod) => isOwn(job, pod) && attemptOf(pod) === attempt);
    const leader = childNames.pod(name, attempt, 0);
    const first = own.find(({ metadata }) => metadata?.name === leader)?.status?.podIP;
    const others = own.flatMap(({ metadata, status }) => (metadata?.name === leader ? [] : (status?.podIP ?? [])));
    // Without the leader, nobody knows of the whole job.
    const addresses = first === undefined ? [] : [first, ...others];
    return { key, uid, attempt, addresses, awaitsCheckpoint: move?.afterCheckpoint !== undefined };
  });
}
