import { totalmem } from 'node:os';
import process from 'node:process';

/** Bytes of a megabyte as V8's limits count it. */
const MEGABYTE = 2 ** 20;

/** Threads beside those of searches: of a search for a move, and of checks of plans that jobs give. */
const OTHER_THREADS = 2;

/** What all threads' heaps may take together; the rest is for caches, files of models and the program. */
const HEAPS_SHARE = 0.75;

/** A thread's heap is bounded to as much where nothing bounds the process. Source: V8's own bound on 64-bit machines (heap.h). */
const MOST_MEGABYTES = 4096;

/** Below this, not even a small model's plan is found. */
const LEAST_MEGABYTES = 64;

/**
 * Megabytes (2^20 bytes) that the heap of a search's thread may take, so that all threads together cannot get the process killed.
 * @param concurrentSearches threads of searches at once
 * @param processBytes what the process may use
 */
export function threadMegabytes(concurrentSearches: number, processBytes: number = usableBytes()): number {
  const share = (HEAPS_SHARE * processBytes) / (concurrentSearches + OTHER_THREADS) / MEGABYTE;
  return Math.floor(Math.min(MOST_MEGABYTES, Math.max(LEAST_MEGABYTES, share)));
}

/** The limit of the control group, such as a container's, or the machine's memory. */
function usableBytes(): number {
  // 0 where no limit is known, and a number beyond all memory where there is none.
  const limit = process.constrainedMemory();
  return limit > 0 ? Math.min(limit, totalmem()) : totalmem();
}
