import type { Cluster } from '../cluster/cluster.ts';
import type { TrainingGraph } from '../training/loss.ts';
import { lossOf } from '../training/loss.ts';
import type { OptimizerName } from '../job/training-job.ts';
import { opDimensions } from '../ops/index.ts';
import type { TaskOptions } from '../tasks/task-options.ts';
import { taskOptions } from '../tasks/task-options.ts';
import { SOAPSTONE_VERSION } from '../version.ts';
import { batchSizeOf } from '../training/batch-size.ts';
import { frozenNames } from '../graph/freeze.ts';
import { graphFingerprint } from '../graph/fingerprint.ts';
import type { Plan, PlannedOp, PlannedSource } from './plan.ts';
import { PLAN_VERSION } from './plan-schema.ts';
import type { Strategy } from '../strategy/strategy.ts';

/** The parts of a plan beside its strategy. */
export type PlanContext = Pick<Plan, 'prediction' | 'baselines' | 'origin' | 'search' | 'costs'> & {
  /** What ops are predicted to take in a micro-batch. */
  readonly opTimes?: readonly { readonly op: number; readonly computeMs: number }[];
};

/** What a strategy is for. */
export interface PlanSubject extends TaskOptions {
  readonly training: TrainingGraph;
  readonly cluster: Cluster;
  readonly optimizer?: OptimizerName;
  readonly source?: PlannedSource;
}

/** Writes a strategy down by names. */
export function createPlan(
  { training, cluster, optimizer = 'sgd', source, ...options }: PlanSubject,
  strategy: Strategy,
  { opTimes = [], ...context }: PlanContext,
): Plan {
  const { graph, accumulationSteps } = training;
  const frozen = frozenNames(graph);
  const timeOf = new Map(opTimes.map(({ op, computeMs }) => [op, computeMs]));
  const ops = graph.ops.map((op): [string, PlannedOp] => {
    const { degrees, devices } = strategy.configs[op.id]!;
    const named = opDimensions(graph, op).flatMap(({ name }, i): [string, number][] =>
      degrees[i] === 1 ? [] : [[name, degrees[i]!]],
    );
    const { shape } = graph.tensors[op.outputs[0]!]!;
    const names = devices.map((id) => cluster.devices[id]!.name);
    const computeMs = timeOf.get(op.id);
    const time = computeMs === undefined ? {} : { computeMs: Number(computeMs.toPrecision(6)) };
    return [op.name, { kind: op.kind, shape, degrees: Object.fromEntries(named), devices: names, ...time }];
  });
  return {
    version: PLAN_VERSION,
    soapstone: SOAPSTONE_VERSION,
    model: {
      name: graph.name,
      fingerprint: graphFingerprint(graph),
      batch: batchSizeOf(training),
      ...(source === undefined ? {} : { source }),
    },
    training: {
      loss: lossOf(training),
      optimizer,
      ...taskOptions(options),
      ...(accumulationSteps === 1 ? {} : { gradientAccumulationSteps: accumulationSteps }),
      ...(frozen.length === 0 ? {} : { frozen }),
    },
    cluster: cluster.description,
    ops: Object.fromEntries(ops),
    ...context,
  };
}
