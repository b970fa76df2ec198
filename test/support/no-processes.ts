import childProcess, { ChildProcess } from 'node:child_process';
import { syncBuiltinESMExports } from 'node:module';

/** From now on this process starts no other: whatever tries is told `message`. */
export function refuseProcesses(message: string): void {
  const refuse = (): never => {
    throw new Error(message);
  };
  // What all asynchronous ways come down to; Node does not document it, and the quick run's own test would notice.
  Object.defineProperty(ChildProcess.prototype, 'spawn', { value: refuse });
  for (const name of ['execFileSync', 'execSync', 'spawnSync'])
    Object.defineProperty(childProcess, name, { value: refuse });
  syncBuiltinESMExports();
}
