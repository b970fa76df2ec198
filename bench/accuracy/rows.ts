import { costsFor } from '../../cli/machine/costs.ts';
import type { FittedHost } from '../../cli/profile/fit-host.ts';
import { fitToProbes, withHost } from '../../cli/profile/fit-host.ts';
import type { MeasuredRun } from '../../cli/profile/probe.ts';
import { overRounds } from '../../cli/profile/probe.ts';
import type { ProfileTarget } from '../../cli/profile/target.ts';
import { opsOfTasks, taskInWords } from '../../soap/explain/task-names.ts';
import { evaluate } from '../../soap/simulator/evaluate.ts';
import type { PlanningProblem } from '../../soap/simulator/evaluate.ts';
import type { Strategy } from '../../soap/strategy/strategy.ts';
import { IterationBuilder } from '../../soap/simulator/host/items.ts';
import { hostOf, hostWork, hostWorkUs } from '../../soap/simulator/host/predict.ts';
import { kernelsOf, kernelTime } from '../../soap/simulator/host/short-kernels.ts';
import type { Span } from '../../runtime/program/recorder.ts';
import { planWork } from '../../runtime/program/planned-work.ts';
import type { AccuracyRun, CaseMeasurements } from './measure.ts';
import { evenRuns, firstAlike, probeOf } from './measure.ts';

/** What a kernel or a message takes, by the plan and in truth. */
export interface Part {
  readonly kind: 'kernel' | 'transfers';
  readonly what: string;
  readonly predictedUs: number;
  readonly measuredUs: number;
}

/** A strategy, predicted and trained. */
export interface AccuracyRow {
  readonly model: string;
  readonly devices: number;
  readonly strategy: string;
  readonly predictedMs: number;
  readonly measuredMs: number;
  /** What it took in each round, as it was. */
  readonly roundsMs: readonly number[];
  /** The same, had all rounds been equally fast. */
  readonly evenMs: readonly number[];
  /** Name of a row before it that has the same strategy, which was measured for both; undefined where there is none. */
  readonly sameAs: string | undefined;
  /** The prediction for the cores that others left. */
  readonly besideOthersMs: number;
  /** Cores that other processes kept busy while it was measured. */
  readonly otherCores: number | undefined;
  readonly parts: readonly Part[];
}

/** A run with all its rounds. */
interface WholeRun extends AccuracyRun {
  /** As if all rounds were equally fast. */
  readonly rounds: readonly MeasuredRun[];
  /** As they were. */
  readonly roundsMs: readonly number[];
  readonly sameAs: string | undefined;
}

/** The costs of the host as fitted to a model's probes, and its rows as predicted with them. */
export interface CaseAccuracy {
  readonly fitted: FittedHost;
  readonly rows: readonly AccuracyRow[];
}

/** Predicts all strategies of a model that were trained. What is fitted has not seen them. */
export function caseAccuracy(target: ProfileTarget, measurements: CaseMeasurements): CaseAccuracy {
  const { model, kernels, runs, rounds } = measurements;
  const [even, first] = [evenRuns(measurements), firstAlike(runs)];
  const whole = runs.flatMap((each, index): WholeRun[] => {
    const roundsMs = rounds.flatMap(({ run, measured }) => (first[run] === first[index] ? [measured.iterationMs] : []));
    const sameAs = first[index] === index ? undefined : runs[first[index]!]!.name;
    return roundsMs.length === 0 ? [] : [{ ...each, rounds: even[index]!, roundsMs, sameAs }];
  });
  const probes = whole.filter(({ role }) => role === 'probe');
  const fitted = fitToProbes(
    target,
    kernels,
    probes.map((each) => ({ ...probeOf(target, kernels, each), run: overRounds(each.rounds) })),
  );
  const table = withHost(kernels.table, fitted);
  const rows = whole
    .filter(({ role }) => role === 'row')
    .map((each): AccuracyRow => {
      const { cluster } = probeOf(target, kernels, each);
      const { training, job } = target;
      const optimizer = job.spec.training.optimizer.name;
      const clipsGradients = job.spec.training.optimizer.gradientClipNorm !== undefined;
      const problem = { training, cluster, costs: costsFor(table, cluster, optimizer), optimizer, clipsGradients };
      return { model, devices: each.devices, strategy: each.name, ...measuredBeside(problem, each) };
    });
  return { fitted, rows };
}

function measuredBeside(
  problem: PlanningProblem,
  { strategy, rounds, roundsMs, sameAs }: WholeRun,
): Omit<AccuracyRow, 'model' | 'devices' | 'strategy'> {
  const { iterationMs, spans, otherCores } = overRounds(rounds);
  const host = hostOf(problem.cluster, problem.costs)!;
  return {
    predictedMs: evaluate(problem, strategy).iterationMs,
    measuredMs: iterationMs,
    roundsMs,
    evenMs: rounds.map((round) => round.iterationMs),
    sameAs,
    besideOthersMs: hostWorkUs(hostWork(problem, strategy, host), host, otherCores) / 1000,
    otherCores,
    parts: partsOf(problem, strategy, spans),
  };
}

/**
 * Kernels of the first device, by the names of their tasks, and what it takes to send what each of them has for others. Where devices
 * take turns on a core, the length of a span has the turns of others in it; the CPU time of its threads counts there.
 */
function partsOf(problem: PlanningProblem, strategy: Strategy, spans: readonly (readonly Span[])[]): Part[] {
  const { training, cluster } = problem;
  const host = hostOf(cluster, problem.costs)!;
  const takesTurns = cluster.devices.length > host.cores;
  const { tasks } = planWork(training, strategy, cluster);
  const work = hostWork(problem, strategy, host);
  const { plan, taskUs } = work;
  const ops = opsOfTasks(tasks, training.graph);
  const builder = new IterationBuilder(work, host);
  const recorded = new Map((spans[0] ?? []).map((span) => [`${span.kind} ${span.tasks.join()}`, span]));
  return plan.actions[0]!.flatMap((action): Part[] => {
    const ids = action.kind === 'segment' ? action.tasks : [action.task];
    const first = taskInWords(tasks.tasks[ids[0]!]!, tasks, training.graph, cluster);
    const what = ids.length === 1 ? first : `${first} to ${training.graph.ops[ops[ids.at(-1)!]!]!.name}`;
    const part = (kind: Part['kind'], span: Span['kind'], predictedUs: number): Part[] => {
      const found = recorded.get(`${span} ${ids.join()}`);
      const measuredMs = takesTurns ? found?.cpuMs : found && found.endMs - found.startMs;
      return measuredMs === undefined ? [] : [{ kind, what, predictedUs, measuredUs: 1000 * measuredMs }];
    };
    const kernel = part('kernel', action.kind, kernelTime(host, kernelsOf(action, taskUs, host)).us);
    if (action.kind === 'update' || action.sends.length === 0) return kernel;
    const sendUs = action.sends.reduce((sum, sent, i) => sum + builder.sendingUs(sent, i > 0), 0);
    return [...kernel, ...part('transfers', 'finish', sendUs)];
  });
}
