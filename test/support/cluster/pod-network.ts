import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { kubernetesBinaries } from './control-plane.ts';

/** Second bytes of the networks: as many as there may be clusters at once, and some that a killed test left. */
const [FIRST, LAST] = [78, 127];

/** Addresses of this machine that are one cluster's alone. */
export interface PodNetwork {
  /** Their first two bytes. */
  readonly prefix: string;
  release(): Promise<void>;
}

/**
 * Claims a network for the pods of a cluster: no loopback addresses, so that the API server's proxy goes there. A route makes them
 * this machine's own, and says to tests that run beside this one that they are taken.
 */
export async function claimPodNetwork(): Promise<PodNetwork> {
  const program = join(await kubernetesBinaries(), 'ip');
  const ip = (...args: string[]): Promise<unknown> => promisify(execFile)(program, args);
  for (let byte = FIRST; byte <= LAST; byte++) {
    const prefix = `10.${byte}`;
    const route = ['local', `${prefix}.0.0/16`, 'dev', 'lo'];
    try {
      await ip('route', 'add', ...route);
      return { prefix, release: () => ip('route', 'del', ...route).then(nothing, nothing) };
    } catch (error) {
      if (!String(error).includes('File exists')) throw error;
    }
  }
  throw new Error(`10.${FIRST} to 10.${LAST} are all taken; see ip route show table local`);
}

function nothing(): void {}
