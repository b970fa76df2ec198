import type { Resources } from '../../simulator/delta/resources.ts';
import type { OpState } from '../../simulator/delta/states.ts';
import type { EdgeGeometry } from '../../tasks/geometry/edge-geometry.ts';
import type { PassTimes } from './pass-times.ts';

/** Where the parts of an op are, and how long they take. */
interface TimedOp {
  readonly state: OpState;
  readonly times: PassTimes;
}

/** Of an edge that some parts do not wait for: no way leads over it. Finite, so that sums with what cannot be simulated are that. */
const NO_WAY_US = -1e300;

/**
 * The least time, in microseconds, from when any part of the one op can begin its pass to when some part of the other has all
 * that it waits for: activations of the producer's forward pass, gradients of the consumer's backward pass. A device
 * computes what is waited for part by part, and sends the last of it no faster than the fastest of these transfers. Where some part waits for
 * nothing of it, as where joined ways are split at their seam, it delays nobody for certain: hugely negative.
 */
export function edgeDelays(
  resources: Resources,
  geometry: EdgeGeometry,
  { state: producer, times: { forwardUs } }: TimedOp,
  { state: consumer, times: { backwardUs } }: TimedOp,
): { readonly activationUs: number; readonly gradientUs: number } {
  const [from, to] = [producer.devices, consumer.devices];
  const there = new Suppliers(resources.deviceCount);
  const back = new Suppliers(resources.deviceCount);
  let [activationUs, gradientUs] = [Infinity, Infinity];
  for (let part = 0; part < to.length; part++) {
    for (let pair = geometry.fromConsumer[part]!; pair < geometry.fromConsumer[part + 1]!; pair++) {
      const source = geometry.producer[pair]!;
      there.add(
        from[source]!,
        forwardUs[source]!,
        transferUs(resources, from[source]!, to[part]!, geometry.bytes[pair]! * resources.wireShare),
      );
    }
    activationUs = Math.min(activationUs, there.takeUs());
  }
  for (let part = 0; part < from.length; part++) {
    for (let k = geometry.fromProducer[part]!; k < geometry.fromProducer[part + 1]!; k++) {
      const pair = geometry.pairs[k]!;
      const source = geometry.consumer[pair]!;
      back.add(
        to[source]!,
        backwardUs[source]!,
        transferUs(resources, to[source]!, from[part]!, geometry.bytes[pair]! * resources.wireShare),
      );
    }
    gradientUs = Math.min(gradientUs, back.takeUs());
  }
  return {
    activationUs: geometry.everyConsumer ? activationUs : NO_WAY_US,
    gradientUs: geometry.everyProducer ? gradientUs : NO_WAY_US,
  };
}

function transferUs(resources: Resources, from: number, to: number, bytes: number): number {
  return from === to ? 0 : resources.transferUs(resources.route(from, to), bytes);
}

/** What one part waits for, by the device that it comes from. */
class Suppliers {
  readonly #computeUs: Float64Array;
  readonly #transferUs: Float64Array;

  constructor(deviceCount: number) {
    this.#computeUs = new Float64Array(deviceCount);
    this.#transferUs = new Float64Array(deviceCount).fill(Infinity);
  }

  add(device: number, computeUs: number, transferUs: number): void {
    this.#computeUs[device]! += computeUs;
    this.#transferUs[device] = Math.min(this.#transferUs[device]!, transferUs);
  }

  /** When all can be there, at the earliest; then forgets them. */
  takeUs(): number {
    let latestUs = 0;
    for (let device = 0; device < this.#computeUs.length; device++) {
      const us = this.#computeUs[device]!;
      if (us > 0) latestUs = Math.max(latestUs, us + this.#transferUs[device]!);
      this.#computeUs[device] = 0;
      this.#transferUs[device] = Infinity;
    }
    return latestUs;
  }
}
