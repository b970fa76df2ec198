import type { DeltaSimulation } from './delta-simulation.ts';
import type { Network } from './network.ts';
import { NONE } from './states.ts';

/** What an op costs, as far as it can be told from the others. */
export interface OpTime {
  readonly op: number;
  /** Forward and backward, on the device that does most of it. */
  readonly computeMs: number;
  /** What its inputs and their gradients keep the busiest link, and its parameters' sums the links that they hold. */
  readonly communicationMs: number;
}

/**
 * The ops of the accepted strategy, those that take longest first.
 * @param microBatches that are added up; parameters are summed once for all of them
 */
export function opTimes({ network }: DeltaSimulation, microBatches: number): OpTime[] {
  return network.ops
    .map((_, op) => ({
      op,
      computeMs: (microBatches * computeUs(network, op)) / 1000,
      communicationMs: (microBatches * transferUs(network, op) + sumUs(network, op)) / 1000,
    }))
    .toSorted((a, b) => b.computeMs + b.communicationMs - (a.computeMs + a.communicationMs) || a.op - b.op);
}

function computeUs({ ops, tasks }: Network, op: number): number {
  const { devices, forward, backward } = ops[op]!;
  const busyUs = new Map<number, number>();
  for (const pass of backward === undefined ? [forward] : [forward, backward]) {
    for (const list of [pass.statistics, pass.main]) {
      list.forEach((task, part) => {
        const device = devices[part]!;
        if (task !== NONE) busyUs.set(device, (busyUs.get(device) ?? 0) + tasks.amount[task]!);
      });
    }
  }
  return Math.max(0, ...busyUs.values());
}

function transferUs({ edges, wiring }: Network, op: number): number {
  const busyUs = new Map<number, number>();
  for (const { id } of wiring.edgesIn[op]!) {
    const { links, busyUs: ofEdge } = edges[id]!.traffic.loads;
    links.forEach((link, i) => busyUs.set(link, (busyUs.get(link) ?? 0) + ofEdge[i]!));
  }
  return Math.max(0, ...busyUs.values());
}

/** Sums of a parameter that several ops read are shared out evenly. */
function sumUs({ parameters, wiring, tasks }: Network, op: number): number {
  let sum = 0;
  for (const { parameter } of wiring.reads[op]!) {
    const { readers } = wiring.parameters[parameter]!;
    for (const task of parameters[parameter]!.collective)
      if (task !== NONE) sum += tasks.amount[task]! / readers.length;
  }
  return sum;
}
