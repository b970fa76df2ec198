import type { OptimizerName } from '../job/training-job.ts';
import type { Layout, PlacedPart } from '../tasks/layout.ts';
import { hasBackward, inputPieces } from '../tasks/layout.ts';
import { isReadInPlace, shardMemoryBytes } from '../tasks/memory.ts';
import type { TaskGraph } from '../tasks/task-graph.ts';
import { regionBytes } from '../tasks/work.ts';
import type { Timeline } from './simulate.ts';

/** Memory of a device that an op needs for some time. */
export interface LiveTensor {
  readonly device: number;
  readonly op: number;
  /** `parameters`: values, gradients and optimizer state; `output`, `gradient` of the outputs; `input`: a copy. */
  readonly use: 'parameters' | 'output' | 'gradient' | 'input';
  readonly bytes: number;
  /** Live from the one to just before the other. */
  readonly fromUs: number;
  readonly toUs: number;
}

/**
 * All memory of an iteration, each piece with the time for which anyone needs it:
 *
 * - parameters, their gradients and what the optimizer remembers: always;
 * - outputs of a part: from the start of its forward pass to the end of the last task that reads them: its own backward pass,
 *   the passes of parts that read them in place, the forward passes of parts that copy them, transfers;
 * - gradients of the outputs: from the start of the first backward pass or transfer that adds to them to the end of the part's
 *   own backward pass;
 * - copies of inputs: from when the first piece is on its way, or the part begins to read its data, to the end of its last
 *   pass.
 *
 * These are the bytes that `deviceMemoryBytes` counts for the whole iteration, but for gradients of ops without a backward
 * pass, for which it leaves room.
 */
export function liveTensors(
  graph: TaskGraph,
  timeline: Timeline,
  layout: Layout,
  optimizer: OptimizerName = 'sgd',
): LiveTensor[] {
  return new TensorLives(graph, timeline, layout).list(optimizer);
}

/** From the start of the first to the end of the last of some tasks. */
interface Span {
  fromUs: number;
  toUs: number;
}

class TensorLives {
  readonly #layout: Layout;
  readonly #makespanUs: number;
  /** By tensor: the ops that read it, and as which input. */
  readonly #uses = new Map<number, { readonly op: number; readonly input: number }[]>();
  /** Of the passes of parts, by `direction:op:part`. */
  readonly #passes = new Map<string, Span>();
  /** Of the transfers to an input, by `op:part:input`. */
  readonly #arrivals = new Map<string, Span>();
  /** Of the transfers of a part's outputs, and of gradients to it, by `op:part`. */
  readonly #departures = new Map<string, Span>();
  readonly #gradientArrivals = new Map<string, Span>();

  constructor({ tasks }: TaskGraph, { startUs, endUs, makespanUs }: Timeline, layout: Layout) {
    this.#layout = layout;
    this.#makespanUs = makespanUs;
    for (const { id: op, inputs } of layout.graph.ops) {
      inputs.forEach((tensor, input) => {
        const known = this.#uses.get(tensor);
        if (known === undefined) this.#uses.set(tensor, [{ op, input }]);
        else known.push({ op, input });
      });
    }
    for (const task of tasks) {
      const [from, to] = [startUs[task.id]!, endUs[task.id]!];
      if (task.kind === 'forward' || task.kind === 'backward') {
        extend(this.#passes, `${task.kind}:${task.op}:${task.part}`, from, to);
      } else if (task.kind === 'transfer') {
        const [producer, consumer] = [`${task.producer}:${task.producerPart}`, `${task.consumer}:${task.consumerPart}`];
        if (task.payload === 'gradient') extend(this.#gradientArrivals, producer, from, to);
        else {
          extend(this.#departures, producer, from, to);
          extend(this.#arrivals, `${consumer}:${task.consumerInput}`, from, to);
        }
      }
    }
  }

  list(optimizer: OptimizerName): LiveTensor[] {
    const { parts } = this.#layout;
    return [...this.#parameters(optimizer), ...parts.flat().flatMap((part) => [...this.#ofPart(part)])];
  }

  /** Of several ops that share a parameter on a device, the first counts. */
  *#parameters(optimizer: OptimizerName): Generator<LiveTensor> {
    const readers = new Map<string, number>();
    for (const { inputs, id } of this.#layout.graph.ops.toReversed()) {
      for (const tensor of inputs)
        for (const { device } of this.#layout.parts[id]!) readers.set(`${tensor}:${device}`, id);
    }
    for (const { tensor, region, devices } of this.#layout.shards) {
      const bytes = shardMemoryBytes(regionBytes(region), optimizer, this.#layout.accumulationSteps);
      for (const device of devices) {
        const op = readers.get(`${tensor}:${device}`)!;
        yield { device, op, use: 'parameters', bytes, fromUs: 0, toUs: this.#makespanUs };
      }
    }
  }

  *#ofPart(part: PlacedPart): Generator<LiveTensor> {
    const { op, device } = part;
    const bytes = part.outputs.reduce((sum, region) => sum + regionBytes(region), 0);
    const forward = this.#pass('forward', part)!;
    const own = this.#lastPassEndUs(part);
    const readers = this.#readers(part);
    const outputEndUs = readers.reduce(
      (last, { reader, inPlace }) =>
        Math.max(last, inPlace ? this.#lastPassEndUs(reader) : this.#pass('forward', reader)!.toUs),
      Math.max(own, this.#departures.get(keyOf(part))?.toUs ?? 0),
    );
    yield { device, op, use: 'output', bytes, fromUs: forward.fromUs, toUs: outputEndUs };
    const backward = this.#pass('backward', part);
    if (backward !== undefined) {
      const added = readers.flatMap(({ reader }) => this.#pass('backward', reader)?.fromUs ?? []);
      const fromUs = Math.min(backward.fromUs, this.#gradientArrivals.get(keyOf(part))?.fromUs ?? Infinity, ...added);
      yield { device, op, use: 'gradient', bytes, fromUs, toUs: backward.toUs };
    }
    for (const [input, region] of part.inputs.entries()) {
      const tensor = this.#layout.graph.ops[op]!.inputs[input]!;
      if (region === undefined || this.#layout.graph.tensors[tensor]!.role === 'parameter') continue;
      if (isReadInPlace(this.#layout, part, input)) continue;
      const fromUs = Math.min(forward.fromUs, this.#arrivals.get(`${keyOf(part)}:${input}`)?.fromUs ?? Infinity);
      yield { device, op, use: 'input', bytes: regionBytes(region), fromUs, toUs: own };
    }
  }

  /** Parts on the same device that read a part's outputs. */
  #readers(part: PlacedPart): { readonly reader: PlacedPart; readonly inPlace: boolean }[] {
    const layout = this.#layout;
    const uses = layout.graph.ops[part.op]!.outputs.flatMap((tensor) => this.#uses.get(tensor) ?? []);
    return uses.flatMap(({ op, input }) =>
      layout.parts[op]!.filter(
        (reader) =>
          reader.device === part.device && inputPieces(layout, reader, input).some(({ producer }) => producer === part),
      ).map((reader) => ({ reader, inPlace: isReadInPlace(layout, reader, input) })),
    );
  }

  #pass(direction: 'forward' | 'backward', part: PlacedPart): Span | undefined {
    return this.#passes.get(`${direction}:${keyOf(part)}`);
  }

  #lastPassEndUs(part: PlacedPart): number {
    const direction = hasBackward(this.#layout, part) ? 'backward' : 'forward';
    return this.#pass(direction, part)!.toUs;
  }
}

function keyOf({ op, index }: PlacedPart): string {
  return `${op}:${index}`;
}

function extend(spans: Map<string, Span>, key: string, fromUs: number, toUs: number): void {
  const known = spans.get(key);
  if (known === undefined) spans.set(key, { fromUs, toUs });
  else {
    known.fromUs = Math.min(known.fromUs, fromUs);
    known.toUs = Math.max(known.toUs, toUs);
  }
}
