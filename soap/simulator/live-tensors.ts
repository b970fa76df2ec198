import type { TrainingGraph } from '../training/loss.ts';
import type { OptimizerName } from '../job/training-job.ts';
import type { Layout } from '../tasks/layout.ts';
import type { DeviceMemoryPlan } from '../tasks/liveness/device-memory.ts';
import type { Value, ValueUse } from '../tasks/liveness/values.ts';
import type { TaskGraph } from '../tasks/task-graph.ts';
import { planMemory } from './program-memory.ts';
import type { Timeline } from './simulate.ts';
import { deviceOrders } from './summary.ts';

/** Memory of a device that an op needs for some time. */
export interface LiveTensor {
  readonly device: number;
  readonly op: number;
  /** `parameters`: values, gradients and optimizer state; `output`, `gradient` of activations; `input`: of the batch, or a copy. */
  readonly use: 'parameters' | 'output' | 'gradient' | 'input';
  readonly bytes: number;
  /** Live from the one to just before the other. */
  readonly fromUs: number;
  readonly toUs: number;
}

const USES: Readonly<Record<ValueUse, LiveTensor['use']>> = {
  parameters: 'parameters',
  parameterGradient: 'parameters',
  data: 'input',
  input: 'input',
  output: 'output',
  statistics: 'output',
  gradient: 'gradient',
};

/** What is simulated: a layout's task graph, and when its tasks run. */
export interface SimulatedIteration {
  readonly training: TrainingGraph;
  readonly layout: Layout;
  readonly graph: TaskGraph;
  readonly timeline: Timeline;
}

/**
 * All memory of an iteration, each piece with the time for which the devices' programs need it: parameters with their gradients and
 * what the optimizer remembers, what is read of the batch, and statistics, always; what a segment of tasks leaves to others, from
 * its start to the end of the last that reads it, or of the iteration where it is a message on its way; what stays inside of
 * a segment, from the first task that needs it to the last.
 */
export function liveTensors(iteration: SimulatedIteration, optimizer: OptimizerName = 'sgd'): LiveTensor[] {
  const { graph, timeline } = iteration;
  const plans = planMemory({ ...iteration, tasks: graph, optimizer }, deviceOrders(graph, timeline));
  return plans.flatMap((plan, device) => liveOn(device, plan, timeline));
}

function liveOn(device: number, plan: DeviceMemoryPlan, { startUs, endUs, makespanUs }: Timeline): LiveTensor[] {
  const live = ({ op, use, bytes }: Value, fromUs: number, toUs: number): LiveTensor => {
    return { device, op, use: USES[use], bytes, fromUs, toUs };
  };
  const { kept, spans, segments, inside } = plan;
  return [
    ...kept.map((value) => live(value, 0, makespanUs)),
    ...Array.from(spans, ([value, { from, to }]) => {
      const last = segments[to]?.at(-1);
      return live(value, startUs[segments[from]![0]!]!, last === undefined ? makespanUs : endUs[last]!);
    }),
    ...inside.map(({ value, firstTask, lastTask }) => live(value, startUs[firstTask]!, endUs[lastTask]!)),
  ];
}
