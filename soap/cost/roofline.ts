import type { Device } from '../cluster/cluster.ts';
import type { CostSource } from './cost-source.ts';
import type { TaskWork } from './task-work.ts';

/**
 * Share of peak arithmetic that dense kernels reach. Source: cuDNN convolutions and cuBLAS GEMMs of training sizes commonly
 * run at half to three quarters of float32 peak; the middle is taken. Measured tables replace it.
 */
const COMPUTE_EFFICIENCY = 0.6;

/** Share of peak memory bandwidth that streaming kernels reach, as STREAM-like benchmarks report. */
const MEMORY_EFFICIENCY = 0.8;

const US_PER_SEC = 1e6;

/**
 * Task time from data-sheet numbers: the fixed cost of a task, plus whichever takes longer, arithmetic or memory traffic.
 * Source: Williams, Waterman and Patterson, "Roofline", 2009.
 */
export function createRooflineCosts(): CostSource {
  return { durationUs: rooflineUs, basis: () => 'roofline', host: () => undefined, recipe: { kind: 'roofline' } };
}

/** Microseconds that a task takes by data sheets. */
export function rooflineUs({ flops, memoryBytes }: TaskWork, device: Device): number {
  const computeSec = flops / (device.flopsPerSec * COMPUTE_EFFICIENCY);
  const memorySec = memoryBytes / (device.memoryBandwidthBytesPerSec * MEMORY_EFFICIENCY);
  return device.taskOverheadUs + Math.max(computeSec, memorySec) * US_PER_SEC;
}
