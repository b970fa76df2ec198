import type { Hop } from '../tasks/task-graph.ts';

/** When a transfer starts, and when all of it has arrived. */
export interface Passage {
  readonly startUs: number;
  readonly endUs: number;
}

/**
 * Sends a transfer through its links. Each link takes transfers one after the other, in the order in which they were ready;
 * a transfer enters a link as soon as its first byte has come through the one before and the link is free, and holds it as
 * long as its bytes need there. So many transfers share a route as a network with buffers lets them: none holds one link
 * while it waits for another.
 * @param freeUs by resource, when it is free; brought up to date
 */
export function passRoute(readyUs: number, hops: readonly Hop[], freeUs: Float64Array): Passage {
  let [headUs, tailUs, startUs] = [readyUs, readyUs, readyUs];
  hops.forEach(({ resource, holdUs, latencyUs }, i) => {
    const enterUs = Math.max(headUs, freeUs[resource]!);
    if (i === 0) startUs = enterUs;
    freeUs[resource] = enterUs + holdUs;
    headUs = enterUs + latencyUs;
    tailUs = Math.max(tailUs, enterUs + holdUs) + latencyUs;
  });
  return { startUs, endUs: tailUs };
}
