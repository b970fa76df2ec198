/** Fills one cell of the table in a thread of its own. */
import { parentPort, workerData } from 'node:worker_threads';
import type { CellRequest } from './cell.ts';
import { fillCell } from './cell.ts';

const request: CellRequest = workerData;
parentPort?.postMessage(fillCell(request));
