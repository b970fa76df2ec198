import type { Plan } from '../../soap/plan/plan.ts';
import { resolvePlan } from '../../soap/plan/resolve-plan.ts';
import type { PlanningProblem } from '../../soap/simulator/evaluate.ts';
import { opTimesOf } from '../../soap/simulator/evaluate.ts';
import type { DeviceMemoryReport } from '../../soap/simulator/memory-report.ts';
import { memoryReport } from '../../soap/simulator/memory-report.ts';
import type { Strategy } from '../../soap/strategy/strategy.ts';
import type { ReportedOp } from '../terminal/plan-report.ts';

/** Ops of a plan that are shown. */
const OPS_SHOWN = 10;

/** The ops of a plan that take longest. @throws {FileError} where the plan is for something else */
export function opsThatMatter(plan: Plan, problem: PlanningProblem): ReportedOp[] {
  return reportedOps(plan, problem).slice(0, OPS_SHOWN);
}

/** All ops of a plan with what they cost by the problem's costs, longest first. */
function reportedOps(plan: Plan, problem: PlanningProblem): ReportedOp[] {
  const { strategy, cluster } = resolvePlan(plan, problem.training.graph, 'the plan', problem.cluster);
  return opTimesOf({ ...problem, cluster }, strategy).map(({ op, ...times }) => {
    const { name } = problem.training.graph.ops[op]!;
    return { name, ...plan.ops[name]!, ...times };
  });
}

/**
 * The ops of a plan that take longest, their kernels by the times that the plan was made by, so that they fit its total though a table of
 * costs grew since; by the problem's where the plan is an older file, which has none.
 * @throws {FileError} where the plan is for something else
 */
export function opsAsPlanned(plan: Plan, problem: PlanningProblem): ReportedOp[] {
  const microBatches = problem.training.accumulationSteps;
  return reportedOps(plan, problem)
    .map((op) => {
      const planned = plan.ops[op.name]?.computeMs;
      return planned === undefined ? op : { ...op, computeMs: microBatches * planned };
    })
    .toSorted((a, b) => b.computeMs + b.communicationMs - (a.computeMs + a.communicationMs))
    .slice(0, OPS_SHOWN);
}

/** What a plan needs of each device's memory. @throws {FileError} where the plan is for something else */
export function memoryReportOf(plan: Plan, problem: PlanningProblem): DeviceMemoryReport[] {
  return memoryReport(problem, strategyOf(plan, problem));
}

/** The strategy of a plan for a problem. @throws {FileError} where the plan is for something else */
export function strategyOf(plan: Plan, { training, cluster }: PlanningProblem): Strategy {
  return resolvePlan(plan, training.graph, 'the plan', cluster).strategy;
}
