import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import process from 'node:process';
import type { Series } from './log-chart.ts';
import { logChart } from './log-chart.ts';
import type { Size } from './size.ts';

const SIZE_PROGRAM = new URL('size.ts', import.meta.url).pathname;

/** Memory and time per proposal as the cluster grows; each size in a process of its own, so that memory is its own. */
export function scale(picture: string | undefined, beta: number): void {
  const sizes = [4, 16, 64, 256, 1024].map((gpus) => {
    const output = execFileSync(process.execPath, [SIZE_PROGRAM, String(gpus), String(beta)]);
    const size: Size = JSON.parse(output.toString());
    return size;
  });
  console.log(`\nproposals of NMT in groups of 8 steps, 64 samples per GPU, beta ${beta}`);
  console.table(Object.fromEntries(sizes.map(({ gpus, ...rest }) => [`${gpus} GPUs`, rest])));
  if (picture === undefined) return;
  const series = (title: string, value: (size: Size) => number): Series => ({
    title,
    points: sizes.map((size) => [size.gpus, value(size)]),
  });
  const lines = [
    series('resident, MB', ({ residentMB }) => residentMB),
    series('a full simulation, ms', ({ fullMs }) => fullMs),
    series('mean proposal, ms', ({ meanMs }) => meanMs),
    series('median proposal, ms', ({ medianMs }) => medianMs),
  ];
  writeFileSync(picture, logChart('Planning NMT as the cluster grows', 'GPUs', 'ms, MB', lines));
}
