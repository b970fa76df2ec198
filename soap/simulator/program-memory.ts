import { createRooflineCosts } from '../cost/roofline.ts';
import type { Strategy } from '../strategy/strategy.ts';
import { buildTaskGraph } from '../tasks/build.ts';
import { layOut } from '../tasks/layout.ts';
import type { DeviceMemoryPlan } from '../tasks/liveness/device-memory.ts';
import { planDeviceMemory } from '../tasks/liveness/device-memory.ts';
import type { ValueContext } from '../tasks/liveness/device-values.ts';
import { kernelValues } from '../tasks/liveness/kernel-values.ts';
import { Lookups } from '../tasks/liveness/lookups.ts';
import type { NetworkProblem } from './delta/network.ts';
import { simulate } from './simulate.ts';
import { deviceOrders } from './summary.ts';

/**
 * The memory of every device under a strategy: what the runtime allocates, by device id. The order of its tasks is that of
 * roofline costs, in which the runtime executes every plan. Builds and simulates the whole task graph.
 */
export function programMemory(
  { training, cluster, optimizer = 'sgd', ...options }: Omit<NetworkProblem, 'costs'>,
  strategy: Strategy,
): DeviceMemoryPlan[] {
  const layout = layOut(training, strategy);
  const tasks = buildTaskGraph(training, strategy, cluster, createRooflineCosts(), options);
  return planMemory({ training, layout, tasks, optimizer }, deviceOrders(tasks, simulate(tasks)));
}

/** The memory of devices that run their tasks in given orders, by device id. */
export function planMemory(
  program: Omit<ValueContext, 'lookups' | 'kernelsOf'>,
  orders: readonly (readonly number[])[],
): DeviceMemoryPlan[] {
  const { layout } = program;
  const context = { ...program, lookups: new Lookups(layout), kernelsOf: kernelValues(layout) };
  return orders.map((order, device) => planDeviceMemory(context, device, order));
}

/** All bytes that a device needs: what the runtime allocates, and the most that a kernel holds inside at a time. */
export function deviceBytes({ keptBytes, slotBytes, insideBytes }: DeviceMemoryPlan): number {
  return keptBytes + slotBytes + insideBytes;
}
