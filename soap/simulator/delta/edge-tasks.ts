import type { EdgeGeometry } from '../../tasks/geometry/edge-geometry.ts';
import { EdgeGeometries } from '../../tasks/geometry/edge-geometry.ts';
import { bytesBeyondMessage } from '../../tasks/message-limit.ts';
import { firstTransferKey, KEY_PER_TURN, transferTurn } from '../../tasks/task-key.ts';
import { MESSAGE_US } from './loads.ts';
import type { Resources } from './resources.ts';
import { RouteLoads } from './route-loads.ts';
import type { EdgeState, EdgeTraffic, OpState } from './states.ts';
import { NONE } from './states.ts';
import type { TaskStore } from './task-store.ts';
import { TASK } from './task-store.ts';
import type { Edge } from './wiring.ts';

/** The transfers of activations and their gradients between ops. */
export class EdgeTasks {
  readonly #resources: Resources;
  readonly #tasks: TaskStore;
  readonly #ops: readonly OpState[];
  readonly #geometries = new EdgeGeometries();
  readonly #routeLoads: RouteLoads;

  /** @param ops by id, as they are now */
  constructor(resources: Resources, tasks: TaskStore, ops: readonly OpState[]) {
    this.#resources = resources;
    this.#tasks = tasks;
    this.#ops = ops;
    this.#routeLoads = new RouteLoads(resources);
  }

  /** How the parts at the ends of an edge share its data; undefined where there would be too many transfers. */
  geometry({ producer, output, consumer, input }: Edge): EdgeGeometry | undefined {
    return this.#geometries.get(this.#ops[producer]!.geometry, output, this.#ops[consumer]!.geometry, input);
  }

  /**
   * What the transfers of an edge come to, whether they were made or not; undefined where their work is certain to be more
   * than it matters for.
   */
  traffic(
    { producer, consumer, hasGradient }: Edge,
    geometry: EdgeGeometry,
    mostWorkUs: number = Infinity,
  ): EdgeTraffic | undefined {
    const [from, to] = [this.#ops[producer]!.devices, this.#ops[consumer]!.devices];
    const { hasBackward } = this.#ops[producer]!.geometry;
    const { producer: producerOf, consumer: consumerOf, bytes: bytesOf, count } = geometry;
    const resources = this.#resources;
    const loads = this.#routeLoads;
    const slowestToUs = new Float64Array(to.length);
    const slowestBackUs = new Float64Array(from.length);
    let [transfers, workUs] = [0, 0];
    for (let pair = 0; pair < count; pair++) {
      if (workUs > mostWorkUs) {
        loads.take();
        return undefined;
      }
      const producerPart = producerOf[pair]!;
      const consumerPart = consumerOf[pair]!;
      const here = from[producerPart]!;
      const there = to[consumerPart]!;
      if (here === there) continue;
      transfers += 1;
      const bytes = bytesOf[pair]! * resources.wireShare;
      const route = resources.route(here, there);
      const durationUs = resources.transferUs(route, bytes);
      loads.add(route, bytes);
      workUs += MESSAGE_US + resources.busyUs(route, bytes);
      if (durationUs > slowestToUs[consumerPart]!) slowestToUs[consumerPart] = durationUs;
      if (!hasGradient || hasBackward[producerPart] === 0) continue;
      transfers += 1;
      const back = resources.route(there, here);
      const backUs = resources.transferUs(back, bytes);
      loads.add(back, bytes);
      workUs += MESSAGE_US + resources.busyUs(back, bytes);
      if (backUs > slowestBackUs[producerPart]!) slowestBackUs[producerPart] = backUs;
    }
    return {
      transfers,
      workUs,
      loads: this.#routeLoads.take(),
      activationUs: least(slowestToUs),
      isForAll: geometry.everyConsumer,
      gradientUs: geometry.everyProducer ? least(slowestBackUs) : -Infinity,
      oversizedBytes: this.#oversizedBytes(geometry, from, to, hasGradient ? hasBackward : undefined),
    };
  }

  /**
   * What messages have beyond what one may have; hardly any has.
   * @param takesGradient by producer part; undefined where no gradient goes back
   */
  #oversizedBytes(
    geometry: EdgeGeometry,
    from: readonly number[],
    to: readonly number[],
    takesGradient: Uint8Array | undefined,
  ): number {
    const { wireShare } = this.#resources;
    if (bytesBeyondMessage(geometry.mostBytes * wireShare) === 0) return 0;
    const { producer, consumer, bytes } = geometry;
    return bytes.reduce((sum, each, pair) => {
      const part = producer[pair]!;
      if (from[part] === to[consumer[pair]!]) return sum;
      return sum + (takesGradient?.[part] === 1 ? 2 : 1) * bytesBeyondMessage(each * wireShare);
    }, 0);
  }

  /** Makes the transfers of an edge, whose loads are counted already. */
  make({ id, producer, consumer, input, hasGradient }: Edge, geometry: EdgeGeometry, traffic: EdgeTraffic): EdgeState {
    const [from, to] = [this.#ops[producer]!, this.#ops[consumer]!];
    const [tasks, resources] = [this.#tasks, this.#resources];
    const activation = new Int32Array(geometry.count).fill(NONE);
    const gradient = new Int32Array(hasGradient ? geometry.count : 0).fill(NONE);
    const parts = [to.geometry.parts, from.geometry.parts] as const;
    const firstKey = firstTransferKey('activation', consumer, input, parts);
    const firstGradientKey = firstTransferKey('gradient', consumer, input, parts);
    for (let pair = 0; pair < geometry.count; pair++) {
      const [producerPart, consumerPart] = [geometry.producer[pair]!, geometry.consumer[pair]!];
      const [here, there] = [from.devices[producerPart]!, to.devices[consumerPart]!];
      if (here === there) continue;
      const bytes = geometry.bytes[pair]! * resources.wireShare;
      const after = transferTurn(consumerPart, producerPart, parts[1]) * KEY_PER_TURN + consumerPart;
      const route = resources.route(here, there);
      activation[pair] = tasks.add(TASK.activation, id, pair, firstKey + after, bytes, route);
      if (!hasGradient || from.geometry.hasBackward[producerPart] === 0) continue;
      const back = resources.route(there, here);
      gradient[pair] = tasks.add(TASK.gradient, id, pair, firstGradientKey + after, bytes, back);
    }
    return { geometry, traffic, activation, gradient };
  }
}

function least(values: Float64Array): number {
  let smallest = Infinity;
  for (const value of values) smallest = Math.min(smallest, value);
  return smallest;
}
