import { readdirSync } from 'node:fs';
import process from 'node:process';
import type { DevicePlace } from '../../soap/simulator/host/own-cores.ts';
import { ownCores } from '../../soap/simulator/host/own-cores.ts';
import { loadNative } from '../kernels/native-library.ts';

/** Bytes of a set of cores, a bit each. Source: CPU_SETSIZE of Linux's sched.h, 1024 cores. */
const SET_BYTES = 128;

/**
 * Keeps all threads of this process to the device's share of the cores that the process may use. Schedulers that pack threads which
 * often sleep onto few cores otherwise let devices wait for each other: see docs/decisions/0031-own-cores.md. Does nothing where the
 * system has no such call, or refuses it.
 */
export function keepToOwnCores(place: DevicePlace): void {
  if (process.platform !== 'linux') return;
  const library = loadNative('libc.so.6');
  const set = new Uint8Array(SET_BYTES);
  if (library.func('int sched_getaffinity(int, size_t, void *)')(0, SET_BYTES, set) !== 0) return;
  const own = ownCores(coresOf(set), place);
  if (own === undefined) return;
  const keep = library.func('int sched_setaffinity(int, size_t, const void *)');
  for (const thread of readdirSync('/proc/self/task')) keep(Number(thread), SET_BYTES, setOf(own));
}

function coresOf(set: Uint8Array): number[] {
  return [...set].flatMap((byte, i) =>
    Array.from({ length: 8 }, (_, bit) => 8 * i + bit).filter((core) => byte & (1 << (core % 8))),
  );
}

function setOf(cores: readonly number[]): Uint8Array {
  const set = new Uint8Array(SET_BYTES);
  for (const core of cores) set[core >> 3]! |= 1 << (core & 7);
  return set;
}
