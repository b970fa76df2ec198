import { availableParallelism } from 'node:os';
import type { Cluster } from '../../soap/cluster/cluster.ts';
import { changeCluster } from '../../soap/explain/cluster-changes.ts';
import type { SearchSettings } from '../../soap/job/training-job.ts';
import type { PlanningProblem, Prediction } from '../../soap/search/evaluate.ts';
import { evaluate } from '../../soap/search/evaluate.ts';
import { findPlanInThreads } from '../../soap/search/find-plan.ts';
import type { PlanPrediction } from '../../soap/strategy/plan.ts';
import type { Strategy } from '../../soap/strategy/strategy.ts';
import { readCluster } from '../model-subject.ts';

/** What a changed cluster would give. */
export interface WhatIf {
  readonly change: string;
  readonly cluster: string;
  readonly devices: number;
  readonly now: Prediction;
  /** The plan's strategy on the devices of the same names; null where the changed cluster lacks one of them. */
  readonly samePlan: Prediction | null;
  /** The best that a short search finds there. */
  readonly searched: PlanPrediction;
}

/**
 * Predicts for a changed cluster: the same strategy where its devices exist, and a new search.
 * @param change an expression (with `*`, `+` or `=`), a preset's name, or a cluster file's path
 */
export async function whatIf(
  problem: PlanningProblem,
  strategy: Strategy,
  change: string,
  settings: SearchSettings,
): Promise<WhatIf> {
  const cluster = /[*+=]/.test(change) ? changeCluster(problem.cluster, change) : await readCluster(change);
  const changed = { ...problem, cluster };
  const mapped = mapStrategy(problem.cluster, strategy, cluster);
  const { plan } = await findPlanInThreads(changed, settings, availableParallelism(), {
    nowMs: () => performance.now(),
  });
  return {
    change,
    cluster: cluster.name,
    devices: cluster.devices.length,
    now: evaluate(problem, strategy),
    samePlan: mapped === undefined ? null : evaluate(changed, mapped),
    searched: plan.prediction,
  };
}

function mapStrategy(from: Cluster, { configs }: Strategy, to: Cluster): Strategy | undefined {
  const ids = new Map(to.devices.map(({ name, id }) => [name, id]));
  const mapped = from.devices.map(({ name }) => ids.get(name) ?? -1);
  const used = new Set(configs.flatMap(({ devices }) => devices));
  if ([...used].some((device) => mapped[device] === -1)) return undefined;
  return { configs: configs.map(({ degrees, devices }) => ({ degrees, devices: devices.map((id) => mapped[id]!) })) };
}
