import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import type { Cell, CellRequest } from './cell.ts';

const THREAD = new URL('cell-thread.ts', import.meta.url);

/** Fills cells, as many at once as there are cores, in order of the requests. */
export async function fillCells(requests: readonly CellRequest[], onCell: (filled: number) => void): Promise<Cell[]> {
  const cells: Cell[] = [];
  let next = 0;
  let filled = 0;
  const fillOn = async (): Promise<void> => {
    while (next < requests.length) {
      const at = next++;
      cells[at] = await inThread(requests[at]!);
      onCell(++filled);
    }
  };
  await Promise.all(Array.from({ length: availableParallelism() }, fillOn));
  return cells;
}

function inThread(request: CellRequest): Promise<Cell> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(THREAD, { workerData: request });
    worker.once('message', resolve);
    worker.once('error', reject);
    worker.once('exit', (code) => reject(new Error(`the thread of a cell ended with ${code} and without a result`)));
  });
}
