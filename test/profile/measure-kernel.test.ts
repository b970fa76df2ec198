import test from 'ava';
import type { BoundKernel } from '../../runtime/kernels/kernels.ts';
import { KernelError } from '../../runtime/kernels/kernels.ts';
import type { ReadyKernel } from '../../runtime/profile/measure-kernel.ts';
import { boundBytes, timeInTurns } from '../../runtime/profile/measure-kernel.ts';

const EFFORT = { spread: 0, limitMs: 1 };

/** A kernel that notes its runs. */
function noting(name: string, ran: string[], bound: Partial<BoundKernel> = {}): ReadyKernel {
  const release = (): void => undefined;
  const run = async (): Promise<void> => void ran.push(name);
  const all: BoundKernel = { run, release, ...bound };
  return { bound: all, release };
}

test('kernels take turns, on the thread that asks where they can; one that fails is left out', async (t) => {
  const ran: string[] = [];
  const fails = async (): Promise<void> => {
    ran.push('b');
    throw new KernelError('no');
  };
  const here = (): void => void ran.push('c here');
  const kernels = [noting('a', ran), noting('b', ran, { run: fails }), noting('c', ran, { runHere: here })];
  const timings = await timeInTurns(kernels, EFFORT);
  t.deepEqual(ran.slice(0, 5), ['a', 'b', 'c here', 'a', 'c here']);
  t.is(ran.filter((name) => name === 'b').length, 1);
  t.false(ran.includes('c'));
  t.is(timings[1], undefined);
  for (const timing of [timings[0]!, timings[2]!]) t.true(timing.us > 0 && timing.spread >= 0);
  const fault = noting('d', ran, { run: () => Promise.reject(new Error('a fault')) });
  await t.throwsAsync(() => timeInTurns([fault], EFFORT), { message: 'a fault' });
});

test('the memory of a graph is counted by its inputs and outputs', (t) => {
  const value = (name: string, shape: number[]) => ({ name, dtype: 'float32', shape }) as const;
  const graph = { name: 'g', opset: 17, initializers: new Map(), nodes: [] };
  t.is(boundBytes({ ...graph, inputs: [value('x', [2, 3]), value('y', [])], outputs: [value('z', [5])] }), 4 * 12);
});
