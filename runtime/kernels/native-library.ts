import koffi from 'koffi';

/**
 * Stack of the threads that koffi runs native code on. Its default of 128 KiB is enough for the CPU provider but not for
 * the shader compilers of others; the memory is only used when touched.
 */
const ASYNC_STACK_BYTES = 8 * 2 ** 20;

let isConfigured = false;
/** Held for good: a handle that is collected unloads the library under the functions taken from it. */
const handles: ReturnType<typeof koffi.load>[] = [];

/** Loads a library. Every one is to be loaded here: settings are taken only before the first, also where that is absent. */
export function loadNative(path: string): ReturnType<typeof koffi.load> {
  if (!isConfigured) koffi.config({ async_stack_size: ASYNC_STACK_BYTES });
  isConfigured = true;
  const handle = koffi.load(path);
  handles.push(handle);
  return handle;
}
