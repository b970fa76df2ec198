import type { V1Pod } from '@kubernetes/client-node';
import type { TrainingJobResource } from '../../operator/api/resource.ts';
import { ATTEMPT_LABEL, childNames, JOB_LABEL } from '../../operator/decide/children.ts';
import { parseTrainingJob } from '../../soap/job/parse.ts';
import type { TrainingJob } from '../../soap/job/training-job.ts';
import { FileError } from '../../soap/schema/check.ts';
import { parseJson } from '../../soap/schema/json.ts';
import type { Access } from './access.ts';
import { ask, isMissing, TRAINING_JOBS } from './access.ts';

/** A job's plan as the controller keeps it, with the job as its pods see it. */
export interface StoredPlan {
  readonly plan: string;
  readonly job: TrainingJob;
}

/** Reads a TrainingJob. @throws {Error} a sentence where it cannot be read */
export async function readJobResource({ custom, namespace }: Access, name: string): Promise<TrainingJobResource> {
  const resource: TrainingJobResource = await ask(`TrainingJob ${namespace}/${name}`, () =>
    custom.getNamespacedCustomObject({ ...TRAINING_JOBS, namespace, name }),
  );
  return resource;
}

/** All TrainingJobs of the namespace, or of the cluster. @throws {Error} a sentence where they cannot be read */
export async function listJobResources({ custom, namespace }: Access, all: boolean): Promise<TrainingJobResource[]> {
  const { group, version, plural } = TRAINING_JOBS;
  const list: { items: TrainingJobResource[] } = await ask('TrainingJobs', () =>
    all
      ? custom.listCustomObjectForAllNamespaces({ group, version, resourcePlural: plural })
      : custom.listNamespacedCustomObject({ ...TRAINING_JOBS, namespace }),
  );
  return list.items;
}

/** Pods of a job's attempt by index; of all attempts where it is not given. */
export async function readPods({ core }: Access, namespace: string, job: string, attempt?: number): Promise<V1Pod[]> {
  const labelSelector = [`${JOB_LABEL}=${job}`, ...(attempt === undefined ? [] : [`${ATTEMPT_LABEL}=${attempt}`])];
  const { items } = await ask(`pods of ${namespace}/${job}`, () =>
    core.listNamespacedPod({ namespace, labelSelector: labelSelector.join(',') }),
  );
  const nameOf = ({ metadata }: V1Pod): string => metadata?.name ?? '';
  return items.toSorted((a, b) => nameOf(a).localeCompare(nameOf(b), 'en', { numeric: true }));
}

/**
 * Reads the plan of a job from its ConfigMap.
 * @throws {Error} a sentence: there is no such job, it has no plan yet, or the ConfigMap is not one of the controller's
 */
export async function readStoredPlan(access: Access, name: string): Promise<StoredPlan> {
  const { core, namespace } = access;
  const configMap = childNames.plan(name);
  try {
    const { data = {} } = await ask(`ConfigMap ${namespace}/${configMap}`, () =>
      core.readNamespacedConfigMap({ namespace, name: configMap }),
    );
    const [plan, job] = [data['plan.json'], data['job.json']];
    if (plan === undefined || job === undefined) {
      throw new Error(
        `ConfigMap ${namespace}/${configMap} lacks plan.json or job.json; the controller writes both: see its log`,
      );
    }
    const source = `job.json in ConfigMap ${namespace}/${configMap}`;
    const parsed = parseTrainingJob(
      parseJson(
        job,
        source,
        'somebody changed it: delete a pod of the job, which goes on from its last checkpoint, and the controller writes it anew',
      ),
    );
    if ('problems' in parsed) throw new FileError(source, parsed.problems);
    return { plan, job: parsed.job };
  } catch (error) {
    if (!isMissing(error)) throw error;
    // Reading the job tells a name that is wrong from a job without a plan.
    const { status } = await readJobResource(access, name);
    const { state = 'New', message = 'the controller has not seen it yet' } = status ?? {};
    throw new Error(`TrainingJob ${namespace}/${name} has no plan: it is ${state} (${message})`, { cause: error });
  }
}
