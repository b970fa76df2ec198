import { readFileSync } from 'node:fs';
import process from 'node:process';
import { loadNative } from '../native-library.ts';

/** Source: dlfcn.h of glibc. */
const [RTLD_NOW, RTLD_NOLOAD, RTLD_NODELETE] = [0x2, 0x4, 0x1000];

/**
 * Keeps what a driver has loaded where it is until the process ends. WebGPU closes the driver's library with its last device; threads of
 * SwiftShader that had not quite ended then ran code that was gone, and the process crashed, on a busy machine more often than not.
 */
export function pinLibraries(): void {
  if (process.platform !== 'linux') return;
  const open = loadNative('libc.so.6').func('void* dlopen(str path, int flags)');
  for (const path of loadedLibraries()) open(path, RTLD_NOW | RTLD_NOLOAD | RTLD_NODELETE);
}

/** Files that code is mapped from. Source: proc_pid_maps(5). */
function loadedLibraries(): Set<string> {
  const lines = readFileSync('/proc/self/maps', 'utf8').split('\n');
  return new Set(lines.flatMap((line) => /^\S+ ..x\S* .* (\/\S+\.so\S*)$/.exec(line)?.[1] ?? []));
}
