import type { ComputeTask } from '../../soap/tasks/task-graph.ts';
import type { TensorBuffer } from '../kernels/kernels.ts';
import type { Assembly } from './assembly.ts';
import type { Outgoing } from './outgoing.ts';
import type { PassProgram } from './pass-program.ts';
import type { Contribution } from './shards/shard-programs.ts';
import type { Step } from './segments/cut.ts';

/** A compute task of a device with all that happens around it. */
export interface ComputeWork {
  readonly task: ComputeTask;
  readonly pass: PassProgram;
  /** To send when the task is done; none after a `statistics` stage. */
  readonly outgoing: readonly Outgoing[];
  /** What it adds to gradients of parameters; nothing after a `statistics` stage. */
  readonly contribution: Contribution;
}

/** A compute task as the segments see it. */
export function computeStep(work: ComputeWork): Step<ComputeWork> {
  const { task, pass, outgoing, contribution } = work;
  const startsCollective = contribution.sums.length > 0;
  const common = { task: work, direction: task.kind, durationUs: task.durationUs };
  const { statistics } = pass;
  if (statistics !== undefined && task.stage === 'main') {
    const stages = [pass.main, ...contribution.stages];
    return { ...common, stages, receives: true, copies: [], sends: outgoing.length > 0 || startsCollective };
  }
  const before = pass.inputs.flatMap(({ stage }) => (stage === undefined ? [] : [stage]));
  const own = statistics === undefined ? pass.main : statistics.stage;
  return {
    ...common,
    stages: [...before, own, ...contribution.stages],
    receives: pass.inputs.some(({ receives }) => receives),
    copies: pass.inputs.flatMap(({ copies }) => copies),
    // What parts of one device tell each other is copied too.
    sends: statistics !== undefined || outgoing.length > 0 || startsCollective,
  };
}

/** What must be complete before the task's stages run. */
export function fillsOf({
  task,
  pass: { inputs, statistics },
}: ComputeWork): readonly Pick<Assembly, 'fill' | 'memory'>[] {
  return statistics !== undefined && task.stage === 'main' ? [statistics.gathering] : inputs;
}

/** Memory that is read by other than kernels once the task is done. */
export function readAfter({ pass, outgoing }: ComputeWork): TensorBuffer[] {
  const copied = pass.inputs.flatMap(({ copies }) => copies);
  const sent = outgoing.map(({ from }) => from.memory);
  return [...copied, ...sent, ...(pass.statistics === undefined ? [] : [pass.statistics.vector])];
}
