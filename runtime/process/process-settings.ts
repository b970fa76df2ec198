import process from 'node:process';
import { loadNative } from '../kernels/native-library.ts';

/**
 * Environment of processes that run kernels: large blocks lie in huge pages. Of other settings none pays any more, since kernels
 * take what they write from one arena that is kept. Source: measured, docs/performance/runtime.md; glibc manual, "Memory Allocation
 * Tunables".
 */
export const MALLOC_SETTINGS = { GLIBC_TUNABLES: 'glibc.malloc.hugetlb=1' };

/**
 * Options of Node for the same processes. Tensors lie outside of the JavaScript heap, so little of it is young at any time; what the
 * start leaves outside of it, such as the initial weights, the collector would not see for long, and is asked to collect
 * ({@link collectGarbage}). Source: measured, docs/performance/runtime.md.
 */
export const NODE_SETTINGS: readonly string[] = ['--max-semi-space-size=1', '--expose-gc'];

/**
 * Gives back to the system what nobody refers to any more, where the process was started with {@link NODE_SETTINGS}. glibc keeps what was freed
 * between blocks that are still used, such as initial weights, until it is asked. Source: malloc_trim(3).
 */
export function collectGarbage(): void {
  if (globalThis.gc === undefined) return;
  globalThis.gc();
  if (process.platform !== 'linux') return;
  try {
    loadNative('libc.so.6').func('int malloc_trim(size_t)')(0);
  } catch {
    // Another C library, which has its own ways.
  }
}
