/** Makes the masks of a device in a thread of their own. */
import { parentPort, workerData } from 'node:worker_threads';
import type { MaskKey, MaskSet } from './fill.ts';
import { maskFiller } from './fill.ts';

const set: MaskSet = workerData;
const fill = maskFiller(set);

parentPort?.on('message', (key: MaskKey) => {
  fill(key);
  parentPort?.postMessage(key);
});
