import type { KernelEngine, TensorBuffer } from '../kernels/kernels.ts';
import type { Transport } from '../transport/transport.ts';
import type { WireElements } from '../wire/elements.ts';
import type { SegmentAction } from './actions.ts';
import type { Assembly } from './assembly.ts';
import type { ComputeWork } from './compute-step.ts';
import { fillsOf } from './compute-step.ts';
import type { DeviceParts } from './device-parts.ts';
import { placed } from './drafts.ts';
import type { InferenceSegment } from './inference.ts';
import type { MergedSegment } from './segments/merged-segment.ts';
import type { Sender } from './sender.ts';
import type { ShardPrograms } from './shards/shard-programs.ts';
import type { TimedWork } from './timed-work.ts';

/** What segments run with. */
export interface SegmentRunnerOptions {
  readonly engine: KernelEngine;
  readonly transport: Transport;
  readonly elements: WireElements;
  readonly parts: DeviceParts;
  readonly shards: ShardPrograms;
  readonly sender: Sender;
  readonly timed: TimedWork;
  /** Micro-batches of a step. */
  readonly accumulationSteps: number;
  /** The task that updates a shard of this device. */
  readonly updateTaskOf: (shard: number) => number;
}

/** Runs the segments of a device: fills what they read, runs their kernel, and starts what others wait for. */
export class SegmentRunner {
  readonly #options: SegmentRunnerOptions;

  constructor(options: SegmentRunnerOptions) {
    this.#options = options;
  }

  /** @param microBatch which of its step, from 0; gradients go on to other devices after the last one */
  async train(action: SegmentAction, pass: number, microBatch: number): Promise<void> {
    const { tasks, segment, kernel, readOnHost } = action;
    const { timed, shards, accumulationSteps } = this.#options;
    const startMs = performance.now();
    const filled = await this.#fill(
      segment.steps.flatMap(({ task }) => fillsOf(task)),
      pass,
    );
    if (segment.direction === 'backward') await timed.wait(shards.writable());
    timed.record('wait', tasks, startMs);
    await timed.compute(kernel, action, filled, readOnHost);
    await this.#accumulate(segment, microBatch);
    const [doneMs, cpu] = [performance.now(), timed.cpuMs()];
    for (const { task: work } of segment.steps) this.#finish(work, pass, microBatch === accumulationSteps - 1);
    timed.record('finish', tasks, doneMs, cpu);
  }

  /** A segment of an evaluation. @param inferring how its parts infer; undefined where that is as they train */
  async infer(action: SegmentAction, inferring: InferenceSegment | undefined, pass: number): Promise<void> {
    if (inferring === undefined) return this.train(action, pass, 0);
    const { kernel, writes, steps } = inferring;
    const filled = await this.#fill(
      steps.flatMap(({ fills }) => fills),
      pass,
    );
    const readOnHost = action.readOnHost.filter((memory) => writes.has(memory));
    await this.#options.timed.compute(kernel, action, filled, readOnHost);
    action.segment.steps.forEach(({ task }, step) => {
      if (steps[step]!.sends) this.#finish(task, pass, false);
    });
  }

  /** Puts together what a segment reads. Returns what was written for it. */
  async #fill(inputs: readonly Pick<Assembly, 'fill' | 'memory'>[], pass: number): Promise<TensorBuffer[]> {
    const { timed, transport, elements } = this.#options;
    const filled: TensorBuffer[] = [];
    for (const input of inputs) {
      if (input.fill === undefined) continue;
      await timed.wait(input.fill(transport, pass, elements));
      filled.push(placed(input.memory));
    }
    return filled;
  }

  /** Adds the gradients that a segment completes up with those of other micro-batches. */
  async #accumulate({ steps }: MergedSegment<ComputeWork>, microBatch: number): Promise<void> {
    const { parts, shards, timed, updateTaskOf } = this.#options;
    for (const { task } of steps) {
      if (task.task.kind === 'forward' || task.task.stage === 'statistics') continue;
      for (const { shard, kernel } of shards.accumulate(parts.partOf(task.task), microBatch))
        await timed.compute(kernel, { kind: 'update', tasks: [updateTaskOf(shard)] });
    }
  }

  /** Sends what others wait for. @param sums whether that is gradients to sum, too */
  #finish({ task, pass: { statistics }, outgoing }: ComputeWork, pass: number, sums: boolean): void {
    const { sender, parts, shards } = this.#options;
    if (task.stage === 'statistics') return sender.statistics(task, statistics!, pass);
    for (const transfer of outgoing) sender.transfer(transfer, pass);
    if (sums && task.kind === 'backward') shards.contributed(parts.partOf(task), pass);
  }
}
