import { CONTROLLER } from './controller.ts';
import type { DashboardSpec } from './dashboard.ts';
import { JOBS } from './jobs.ts';
import { SEARCH } from './search.ts';
import { STRATEGY } from './strategy.ts';

/** All dashboards; each has a file of its own in the chart. */
export const DASHBOARDS: readonly DashboardSpec[] = [JOBS, STRATEGY, SEARCH, CONTROLLER];
