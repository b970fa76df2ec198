import type { Task } from '../tasks/task-graph.ts';
import type { Causes } from './causes.ts';
import type { Stretch } from './critical-path.ts';
import { wayTo } from './critical-path.ts';

/** Where the time of the critical path goes, in microseconds; the five add up to the makespan. */
export interface PathBudget {
  /** Forward and backward passes. */
  readonly computeUs: number;
  readonly transfersUs: number;
  /** Sums of gradients, and gathers of statistics. */
  readonly collectivesUs: number;
  readonly updatesUs: number;
  /** Data that is there waits for a link that something else holds. */
  readonly waitingUs: number;
}

/** Where the time of one device goes, in microseconds; the parts add up to the makespan. */
export interface DeviceBudget {
  readonly device: number;
  readonly computeUs: number;
  readonly updatesUs: number;
  /** Takes part in sums and gathers, on clusters where these hold devices. */
  readonly collectivesUs: number;
  /** Idle, the way to the next task being: a transfer; a collective or a gather; a link in use by others; other devices. */
  readonly awaitingTransfersUs: number;
  readonly awaitingCollectivesUs: number;
  readonly awaitingLinksUs: number;
  readonly awaitingDevicesUs: number;
  /** Idle after its last task. */
  readonly finishedUs: number;
}

type Part = keyof PathBudget;

/** The part of the budget that a stretch belongs to. */
export function partOf(task: Task, { waitingFor }: Stretch): Part {
  if (waitingFor !== -1) return 'waitingUs';
  switch (task.kind) {
    case 'forward':
    case 'backward':
      return 'computeUs';
    case 'transfer':
      return 'transfersUs';
    case 'gather':
    case 'collective':
      return 'collectivesUs';
    case 'update':
      return 'updatesUs';
  }
}

/** Adds stretches up. */
export function pathBudget({ graph }: Causes, path: readonly Stretch[]): PathBudget {
  const budget = { computeUs: 0, transfersUs: 0, collectivesUs: 0, updatesUs: 0, waitingUs: 0 };
  for (const stretch of path) {
    budget[partOf(graph.tasks[stretch.task]!, stretch)] += stretch.toUs - stretch.fromUs;
  }
  return budget;
}

/** The budget of every device, by device id. */
export function deviceBudgets(causes: Causes): DeviceBudget[] {
  const { tasks, deviceCount } = causes.graph;
  const { startUs } = causes.timeline;
  const byDevice = Array.from({ length: deviceCount }, (): Task[] => []);
  for (const task of tasks) for (const resource of task.resources) byDevice[resource]?.push(task);
  return byDevice.map((own, device) =>
    deviceBudget(
      causes,
      device,
      own.sort(
        (a, b) => startUs[a.id]! - startUs[b.id]! || causes.timeline.endUs[a.id]! - causes.timeline.endUs[b.id]!,
      ),
    ),
  );
}

function deviceBudget(causes: Causes, device: number, own: readonly Task[]): DeviceBudget {
  const { startUs, endUs, makespanUs } = causes.timeline;
  const budget = { device, computeUs: 0, updatesUs: 0, collectivesUs: 0, finishedUs: 0 };
  const idle = { computeUs: 0, transfersUs: 0, collectivesUs: 0, updatesUs: 0, waitingUs: 0 };
  let freeUs = 0;
  for (const task of own) {
    const [from, to] = [startUs[task.id]!, endUs[task.id]!];
    if (from > freeUs) {
      const gap = pathBudget(causes, wayTo(causes, task.id, freeUs));
      for (const part of PARTS) idle[part] += gap[part];
    }
    budget[useOf(task)] += to - from;
    freeUs = to;
  }
  return {
    ...budget,
    awaitingTransfersUs: idle.transfersUs,
    awaitingCollectivesUs: idle.collectivesUs,
    awaitingLinksUs: idle.waitingUs,
    awaitingDevicesUs: idle.computeUs + idle.updatesUs,
    finishedUs: makespanUs - freeUs,
  };
}

function useOf({ kind }: Task): 'computeUs' | 'updatesUs' | 'collectivesUs' {
  if (kind === 'update') return 'updatesUs';
  return kind === 'collective' || kind === 'gather' ? 'collectivesUs' : 'computeUs';
}

const PARTS: readonly Part[] = ['computeUs', 'transfersUs', 'collectivesUs', 'updatesUs', 'waitingUs'];
