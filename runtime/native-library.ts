import koffi from 'koffi';

/**
 * Stack of the threads that koffi runs native code on. Its default of 128 KiB is enough for the CPU provider but not for
 * the shader compilers of others; the memory is only used when touched.
 */
const ASYNC_STACK_BYTES = 8 * 2 ** 20;

export type NativeLibrary = ReturnType<typeof koffi.load>;

/** Held for good: a handle that is collected unloads the library under the functions taken from it. */
const loaded = new Map<string, NativeLibrary>();

/** Loads a library of native code, once. @throws {Error} where it is absent */
export function loadNative(path: string): NativeLibrary {
  // Before the first library: koffi takes no settings afterwards.
  if (loaded.size === 0) koffi.config({ async_stack_size: ASYNC_STACK_BYTES });
  const library = loaded.get(path) ?? koffi.load(path);
  loaded.set(path, library);
  return library;
}
