import { availableParallelism } from 'node:os';
import type { Cluster } from '../../soap/cluster/cluster.ts';
import type { CostSource } from '../../soap/cost/cost-source.ts';
import { changeCluster } from '../../soap/explain/cluster-changes.ts';
import type { SearchSettings } from '../../soap/job/training-job.ts';
import { costShares } from '../../soap/search/cost-shares.ts';
import { excessBytes } from '../../soap/simulator/energy.ts';
import type { PlanningProblem, Prediction } from '../../soap/simulator/evaluate.ts';
import { evaluate } from '../../soap/simulator/evaluate.ts';
import { findPlanInThreads } from '../../soap/search/find-plan.ts';
import { hostOf } from '../../soap/simulator/host/predict.ts';
import type { PlanPrediction } from '../../soap/plan/plan.ts';
import type { Strategy } from '../../soap/strategy/strategy.ts';
import { costsOn, withMeasuredLinks } from '../machine/costs.ts';
import { readCluster } from '../model/model-subject.ts';

/** What a changed cluster would give. */
export interface WhatIf {
  readonly change: string;
  readonly cluster: string;
  readonly devices: number;
  readonly now: Prediction;
  /** The plan's strategy on the devices of the same names; null where the changed cluster lacks one of them. */
  readonly samePlan: Prediction | null;
  /** The best that a short search finds there, which the same plan is where nothing is better. */
  readonly searched: PlanPrediction;
  /** Sentences on what makes the numbers hard to compare. */
  readonly notes: readonly string[];
}

/** How much more of the time may rest on data sheets than now before a note says so. */
const NOTED_SHARE = 0.25;

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
  const changed = { ...problem, ...(await changedCluster(problem, change)) };
  const { cluster } = changed;
  const mapped = mapStrategy(problem.cluster, strategy, cluster);
  const same = mapped && { strategy: mapped, prediction: evaluate(changed, mapped) };
  const { plan } = await findPlanInThreads(changed, settings, availableParallelism(), {
    nowMs: () => performance.now(),
  });
  const kept = same !== undefined && isBetter(same.prediction, plan.prediction) ? same : undefined;
  const costs = kept === undefined ? plan.costs : costShares(changed, kept.strategy);
  return {
    change,
    cluster: cluster.name,
    devices: cluster.devices.length,
    now: evaluate(problem, strategy),
    samePlan: same?.prediction ?? null,
    searched: kept?.prediction ?? plan.prediction,
    notes: [
      ...notesOnLinks(problem.cluster, changed),
      ...notesOnCosts(costShares(problem, strategy).roofline, costs?.roofline),
    ],
  };
}

/** Whether one can be executed and the other cannot, or lacks less, or is as near to that and faster: the order that searches go by. */
function isBetter(one: PlanPrediction, other: PlanPrediction): boolean {
  const excess = ({ missingMemoryBytes = 0, oversizedMessageBytes = 0 }: PlanPrediction): number =>
    excessBytes({ missingMemoryBytes, oversizedMessageBytes });
  const less = excess(one) - excess(other);
  return less < 0 || (less === 0 && one.iterationMs < other.iterationMs);
}

async function changedCluster(
  { cluster, costs }: PlanningProblem,
  change: string,
): Promise<Pick<PlanningProblem, 'cluster' | 'costs'>> {
  if (/[*+=]/.test(change)) {
    const changed = changeCluster(cluster, change);
    return { cluster: changed, costs: costsOn(changed, costs) };
  }
  const other = await readCluster(change);
  const onOther = costsOn(other, costs);
  return { cluster: withMeasuredLinks(other, onOther), costs: onOther };
}

/** Where devices share a host that was measured, their messages cost what was measured, whatever their links. */
function notesOnLinks(
  before: Cluster,
  { cluster, costs }: { readonly cluster: Cluster; readonly costs: CostSource },
): string[] {
  const isChanged =
    cluster.links.length === before.links.length &&
    cluster.links.some(({ bandwidthBytesPerSec, latencyUs }, link) => {
      const was = before.links[link]!;
      return bandwidthBytesPerSec !== was.bandwidthBytesPerSec || latencyUs !== was.latencyUs;
    });
  if (!isChanged || hostOf(cluster, costs) === undefined) return [];
  return [
    'devices on one host exchange through its memory, at what soapstone profile measured: other links change nothing',
  ];
}

function notesOnCosts(now: number, then: number = 1): string[] {
  if (then - now <= NOTED_SHARE) return [];
  const share = (part: number): string => `${(100 * part).toFixed(0)} %`;
  return [
    `${share(then)} of the time there is by data sheets, since it was not measured, and ${share(now)} of that now: the two compare roughly`,
  ];
}

function mapStrategy(from: Cluster, { configs }: Strategy, to: Cluster): Strategy | undefined {
  const ids = new Map(to.devices.map(({ name, id }) => [name, id]));
  const mapped = from.devices.map(({ name }) => ids.get(name) ?? -1);
  const used = new Set(configs.flatMap(({ devices }) => devices));
  if ([...used].some((device) => mapped[device] === -1)) return undefined;
  return { configs: configs.map(({ degrees, devices }) => ({ degrees, devices: devices.map((id) => mapped[id]!) })) };
}
