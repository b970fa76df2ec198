import { execFileSync } from 'node:child_process';
import process from 'node:process';
import { quantile, timed } from './times.ts';

/** The whole command, from its start to the plan. */
export function command(): void {
  const args = [
    'cli/bin/soapstone.js',
    'plan',
    '--model',
    'alexnet',
    '--cluster',
    'p100x4',
    '--batch',
    '1024',
    '--seconds',
    '1',
  ];
  const seconds = Array.from(
    { length: 5 },
    () => timed(() => execFileSync(process.execPath, args, { stdio: 'pipe' })) / 1000,
  );
  console.log(`\nnode ${args.join(' ')}: median ${quantile(seconds, 0.5).toFixed(2)} s of 5 runs`);
}
