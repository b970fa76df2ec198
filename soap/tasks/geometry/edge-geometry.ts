import { BYTES_PER_ELEMENT } from '../work.ts';
import { boxVolume, sharedVolume } from './boxes.ts';
import type { OpGeometry } from './op-geometry.ts';

/** Pairs of an edge beyond which a split is too fine to be planned. */
const MAX_PAIRS = 2 ** 21;

/** Which parts of two ops share data over one tensor, in order of consumer, then producer. */
export interface EdgeGeometry {
  readonly count: number;
  readonly producer: Int32Array;
  readonly consumer: Int32Array;
  readonly bytes: Float64Array;
  /** Of the pair that has most. */
  readonly mostBytes: number;
  /** Pairs of consumer part c are those from `fromConsumer[c]` to `fromConsumer[c + 1]`. */
  readonly fromConsumer: Int32Array;
  /** Pairs of producer part p are `pairs[k]` for k from `fromProducer[p]` to `fromProducer[p + 1]`. */
  readonly fromProducer: Int32Array;
  readonly pairs: Int32Array;
  /** Whether every part of the consumer reads some of it, and whether some of every part of the producer is read. */
  readonly everyConsumer: boolean;
  readonly everyProducer: boolean;
  /** By consumer part: bytes it reads, less what it can use in place, which a single producer with the same box has. */
  readonly readBytes: Float64Array;
  /** By consumer part: the producer part whose box it reads as it is, or -1. */
  readonly sameBox: Int32Array;
}

/** Pairs that are remembered; beyond, all are forgotten, and made again when they are asked for. */
const MAX_REMEMBERED_PAIRS = 2 ** 25;

/** Edges between geometries, each made once. */
export class EdgeGeometries {
  readonly #made = new Map<number, EdgeGeometry | undefined>();
  #pairs = 0;

  /** Undefined where there are more than {@link MAX_PAIRS} pairs. */
  get(producer: OpGeometry, output: number, consumer: OpGeometry, input: number): EdgeGeometry | undefined {
    const key = ((producer.id * 2 ** 20 + consumer.id) * 8 + output) * 64 + input;
    let edge = this.#made.get(key);
    if (edge === undefined && !this.#made.has(key)) {
      edge = makeEdge(producer, output, consumer, input);
      this.#remember(key, edge);
    }
    return edge;
  }

  #remember(key: number, edge: EdgeGeometry | undefined): void {
    this.#pairs += edge?.count ?? 0;
    if (this.#pairs > MAX_REMEMBERED_PAIRS) {
      this.#made.clear();
      this.#pairs = edge?.count ?? 0;
    }
    this.#made.set(key, edge);
  }
}

function makeEdge(producer: OpGeometry, output: number, consumer: OpGeometry, input: number): EdgeGeometry | undefined {
  const [from, to] = [producer.outputs[output]!, consumer.inputs[input]!];
  const producers: number[] = [];
  const consumers: number[] = [];
  const bytes: number[] = [];
  const fromConsumer = new Int32Array(consumer.parts + 1);
  const readBytes = new Float64Array(consumer.parts);
  const sameBox = new Int32Array(consumer.parts).fill(-1);
  for (let part = 0; part < consumer.parts; part++) {
    if (to.present[part] === 1) {
      const wanted = boxVolume(to, part);
      readBytes[part] = wanted * BYTES_PER_ELEMENT;
      for (const candidate of output === 0 ? gridParts(producer, consumer, input, part) : allParts(producer)) {
        const volume = sharedVolume(from, candidate, to, part);
        if (volume === 0) continue;
        producers.push(candidate);
        consumers.push(part);
        bytes.push(volume * BYTES_PER_ELEMENT);
      }
      if (producers.length > MAX_PAIRS) return undefined;
      const [first, count] = [fromConsumer[part]!, producers.length - fromConsumer[part]!];
      const whole = count === 1 && bytes[first] === readBytes[part] && boxVolume(from, producers[first]!) === wanted;
      if (whole) sameBox[part] = producers[first]!;
    }
    fromConsumer[part + 1] = producers.length;
  }
  const producerList = Int32Array.from(producers);
  const ofProducer = byProducer(producerList, producer.parts);
  return {
    count: producers.length,
    producer: producerList,
    consumer: Int32Array.from(consumers),
    bytes: Float64Array.from(bytes),
    mostBytes: bytes.reduce((most, each) => Math.max(most, each), 0),
    fromConsumer,
    ...ofProducer,
    everyConsumer: hasNoGap(fromConsumer),
    everyProducer: hasNoGap(ofProducer.fromProducer),
    readBytes,
    sameBox,
  };
}

/** The producer's parts whose boxes of the first output may meet a consumer part's box, ascending. */
function* gridParts(producer: OpGeometry, consumer: OpGeometry, input: number, part: number): Generator<number> {
  const { rank, bounds } = consumer.inputs[input]!;
  const { grid } = producer;
  const low = new Int32Array(grid.length);
  const high = new Int32Array(grid.length);
  grid.forEach(({ axis, degree, extent }, i) => {
    const at = (part * rank + axis) * 2;
    low[i] = axis < 0 ? 0 : Math.floor(bounds[at]! / extent);
    high[i] = axis < 0 ? degree : Math.min(degree, Math.ceil(bounds[at + 1]! / extent));
  });
  const index = low.slice();
  for (;;) {
    yield grid.reduce((number, { degree }, i) => number * degree + index[i]!, 0);
    let dimension = grid.length - 1;
    while (dimension >= 0 && index[dimension]! + 1 >= high[dimension]!) {
      index[dimension] = low[dimension]!;
      dimension -= 1;
    }
    if (dimension < 0) return;
    index[dimension]! += 1;
  }
}

function* allParts({ parts }: OpGeometry): Generator<number> {
  for (let part = 0; part < parts; part++) yield part;
}

/** Whether every part has pairs. @param from where the pairs of each begin, and where the last ones end */
function hasNoGap(from: Int32Array): boolean {
  return from.every((start, part) => part === 0 || start > from[part - 1]!);
}

/** Lists the pairs of each producer part, in order. */
function byProducer(producer: Int32Array, parts: number): Pick<EdgeGeometry, 'fromProducer' | 'pairs'> {
  const fromProducer = new Int32Array(parts + 1);
  for (const part of producer) fromProducer[part + 1]! += 1;
  for (let part = 0; part < parts; part++) fromProducer[part + 1]! += fromProducer[part]!;
  const next = fromProducer.slice();
  const pairs = new Int32Array(producer.length);
  producer.forEach((part, pair) => (pairs[next[part]!++] = pair));
  return { fromProducer, pairs };
}
