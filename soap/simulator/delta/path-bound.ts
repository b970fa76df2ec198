import type { EdgeDelay, OpDelay } from './delays.ts';
import type { ParameterState } from './states.ts';
import { NONE } from './states.ts';
import type { TaskStore } from './task-store.ts';
import type { Wiring } from './wiring.ts';

/**
 * A lower bound of the makespan: the longest way through the ops, each taking as long as its fastest part, each edge as long
 * as it keeps every part waiting. Two passes over the ops, so it is asked before anything is simulated.
 */
export class PathBound {
  readonly #wiring: Wiring;
  readonly #forwardUs: Float64Array;
  readonly #backwardUs: Float64Array;
  /** By edge: of those that all parts of their consumer wait for; -Infinity of the others. */
  readonly #activationUs: Float64Array;
  /** Of those others; Infinity of the ones that all wait for. */
  readonly #partlyUs: Float64Array;
  readonly #gradientUs: Float64Array;
  readonly #parameterUs: Float64Array;
  /** Ends of the ops' first parts, from the last time it was asked. */
  readonly #forwardEndUs: Float64Array;
  readonly #backwardEndUs: Float64Array;

  constructor(wiring: Wiring) {
    this.#wiring = wiring;
    const ops = wiring.edgesIn.length;
    this.#forwardUs = new Float64Array(ops);
    this.#backwardUs = new Float64Array(ops);
    this.#activationUs = new Float64Array(wiring.edges.length);
    this.#partlyUs = new Float64Array(wiring.edges.length);
    this.#gradientUs = new Float64Array(wiring.edges.length);
    this.#parameterUs = new Float64Array(wiring.parameters.length);
    this.#forwardEndUs = new Float64Array(ops);
    this.#backwardEndUs = new Float64Array(ops);
  }

  setOp(op: number, { forwardUs, backwardUs }: OpDelay): void {
    this.#forwardUs[op] = forwardUs;
    this.#backwardUs[op] = backwardUs;
  }

  setEdge(edge: number, { activationUs, isForAll, gradientUs }: EdgeDelay): void {
    this.#activationUs[edge] = isForAll ? activationUs : -Infinity;
    this.#partlyUs[edge] = isForAll ? Infinity : activationUs;
    this.#gradientUs[edge] = gradientUs;
  }

  setParameter(parameter: number, { isTrained, collective, updates }: ParameterState, { amount }: TaskStore): void {
    let slowestUs = 0;
    for (const task of collective) if (task !== NONE) slowestUs = Math.max(slowestUs, amount[task]!);
    let updateUs = Infinity;
    for (const task of updates) if (task !== NONE) updateUs = Math.min(updateUs, amount[task]!);
    this.#parameterUs[parameter] = isTrained ? slowestUs + updateUs : 0;
  }

  /** What is not known of a parameter takes no time. */
  forgetParameter(parameter: number): void {
    this.#parameterUs[parameter] = 0;
  }

  boundUs(): number {
    const { edgesIn, edgesOut, isInner, hasBackward, parameters } = this.#wiring;
    const [forwardEnd, backwardEnd] = [this.#forwardEndUs, this.#backwardEndUs];
    let longestUs = 0;
    for (let op = 0; op < forwardEnd.length; op++) {
      let [readyUs, partlyUs] = [-Infinity, Infinity];
      for (const { id, producer } of edgesIn[op]!) {
        readyUs = Math.max(readyUs, forwardEnd[producer]! + this.#activationUs[id]!);
        partlyUs = Math.min(partlyUs, forwardEnd[producer]! + this.#partlyUs[id]!);
      }
      // Where no edge is for all parts, each waits for one of them at least, but for those that read nothing of other ops.
      if (readyUs < 0) readyUs = isInner[op] === true ? partlyUs : 0;
      forwardEnd[op] = readyUs + this.#forwardUs[op]!;
      longestUs = Math.max(longestUs, forwardEnd[op]!);
    }
    for (let op = forwardEnd.length - 1; op >= 0; op--) {
      if (hasBackward[op] !== true) continue;
      let readyUs = forwardEnd[op]!;
      for (const { id, consumer, hasGradient } of edgesOut[op]!) {
        if (hasGradient) readyUs = Math.max(readyUs, backwardEnd[consumer]! + this.#gradientUs[id]!);
      }
      backwardEnd[op] = readyUs + this.#backwardUs[op]!;
      longestUs = Math.max(longestUs, backwardEnd[op]!);
    }
    for (const { id, readers } of parameters) {
      for (const { op } of readers) longestUs = Math.max(longestUs, backwardEnd[op]! + this.#parameterUs[id]!);
    }
    return longestUs;
  }

  /** All that was set, to be restored. */
  save(): Float64Array[] {
    return this.#all().map((values) => values.slice());
  }

  restore(saved: readonly Float64Array[]): void {
    this.#all().forEach((values, i) => values.set(saved[i]!));
  }

  #all(): Float64Array[] {
    return [this.#forwardUs, this.#backwardUs, this.#activationUs, this.#partlyUs, this.#gradientUs, this.#parameterUs];
  }
}
