import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import test from 'ava';

const MAIN = new URL('../../cli/main.ts', import.meta.url).pathname;

interface Outcome {
  readonly code: number;
  readonly stdout: string;
}

function soapstone(...args: string[]): Promise<Outcome> {
  return new Promise((resolve) => {
    execFile(process.execPath, [MAIN, ...args], { timeout: 60_000 }, (error, stdout) => {
      resolve({ code: error === null ? 0 : typeof error.code === 'number' ? error.code : -1, stdout });
    });
  });
}

const ALEXNET = ['--model', 'alexnet', '--cluster', 'p100x2', '--proposals', '20'];

test('a plan that does not fit says by how much, and for which ops', async (t) => {
  const { code, stdout } = await soapstone('plan', ...ALEXNET, '--batch', '16384');
  t.is(code, 1);
  t.regex(
    stdout,
    /device +capacity +needed +too much by +live at most +at\n +node0\/gpu\d +17\.2 GB +\d+\.\d GB +\d+\.\d GB/,
  );
  t.regex(
    stdout,
    /what needs most of node0\/gpu\d:\n +op +needed +live at the peak\n( +\w+ +\d+(\.\d+)? [MG]B +\d+(\.\d+)? [MG]?B\n){10}/,
  );
});

test('plan and simulate show the memory where they are asked, and OptCNN among the baselines', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'soapstone-'));
  t.teardown(() => rm(directory, { recursive: true }));
  const file = join(directory, 'plan.json');
  const planned = await soapstone('plan', ...ALEXNET, '--batch', '64', '--save', file, '--output', 'json');
  t.is(planned.code, 0);
  const { best, baselines, memory: unasked } = JSON.parse(planned.stdout);
  t.true(best.iterationMs <= baselines.optcnn.iterationMs);
  t.is(unasked, undefined);
  const simulated = await soapstone('simulate', file, '--memory', '--output', 'json');
  t.is(simulated.code, 0);
  const {
    memory,
    peakMemoryBytes,
  }: { memory: { neededBytes: number; missingBytes: number }[]; peakMemoryBytes: number } = JSON.parse(
    simulated.stdout,
  );
  t.is(Math.max(...memory.map(({ neededBytes }) => neededBytes)), peakMemoryBytes);
  t.true(memory.every(({ missingBytes }) => missingBytes === 0));
});
