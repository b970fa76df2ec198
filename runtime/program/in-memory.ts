import type { Cluster } from '../../soap/cluster/cluster.ts';
import type { TrainingGraph } from '../../soap/training/loss.ts';
import type { OptimizerSettings, WireType } from '../../soap/job/training-job.ts';
import type { Strategy } from '../../soap/strategy/strategy.ts';
import type { Layout } from '../../soap/tasks/layout.ts';
import type { Dataset } from '../data/dataset.ts';
import type { KernelEngine } from '../kernels/kernels.ts';
import { createMemoryTransports } from '../transport/memory.ts';
import { planWork } from './planned-work.ts';
import type { Rows } from './batch-loader.ts';
import { BatchLoader } from './batch-loader.ts';
import type { TrainingStep } from './device-program.ts';
import { DeviceProgram } from './device-program.ts';
import type { PartialResult } from './evaluation.ts';
import { NOTHING, partialResult, sumOf } from './evaluation.ts';

/** What is trained, how it is split, and with what. */
export interface InMemoryOptions {
  readonly training: TrainingGraph;
  /** Whole initial values, by parameter name. */
  readonly weights: ReadonlyMap<string, Float32Array>;
  readonly strategy: Strategy;
  readonly cluster: Cluster;
  readonly engine: KernelEngine;
  readonly optimizer: OptimizerSettings;
  /** What masks are drawn from; 0 where left out. */
  readonly seed?: number;
  /** How floats travel between devices; float32 where left out. */
  readonly wire?: WireType;
  readonly dataset: Dataset;
}

/** All devices of a strategy in this process, joined by transports in memory. */
export class InMemoryRun {
  readonly layout: Layout;
  /** By device id. */
  readonly programs: readonly DeviceProgram[];
  readonly #training: TrainingGraph;
  readonly #loaders: readonly BatchLoader[];

  constructor({ strategy, cluster, dataset, ...options }: InMemoryOptions) {
    const { training } = options;
    const work = planWork(training, strategy, cluster, { wire: options.wire ?? 'float32' });
    this.layout = work.layout;
    this.#training = training;
    this.programs = createMemoryTransports(cluster.devices.length).map(
      (transport, device) => new DeviceProgram({ ...options, ...work, order: work.orders[device]!, device, transport }),
    );
    this.#loaders = this.programs.map(
      ({ dataInputs }) => new BatchLoader(training.graph, dataset, dataInputs, options.engine),
    );
  }

  /**
   * One training step on some rows, taken in micro-batches. Returns what all devices together saw of the losses.
   * @param onPass hears of each micro-batch of a device, right after it
   */
  async train(step: TrainingStep, rows: Rows, onPass?: (program: DeviceProgram) => void): Promise<PartialResult> {
    const results = await Promise.all(
      this.programs.map(async (program, device) => {
        const { accumulationSteps } = this.#training;
        const samples = rows.length / accumulationSteps;
        let result: PartialResult = NOTHING;
        for (let microBatch = 0; microBatch < accumulationSteps; microBatch++) {
          await this.#loaders[device]!.load(rows.slice(microBatch * samples, (microBatch + 1) * samples));
          await program.train(step.step * accumulationSteps + microBatch, { ...step, microBatch });
          result = sumOf(result, partialResult(this.#training, program, samples));
          onPass?.(program);
        }
        return result;
      }),
    );
    return results.reduce(sumOf);
  }

  release(): void {
    for (const program of this.programs) program.release();
  }
}
