import test from 'ava';
import { NO_COPYING } from '../../soap/simulator/host/copies.ts';
import { kernelsOf, kernelTime, SHORT_KERNEL_US } from '../../soap/simulator/host/short-kernels.ts';

test('short kernels take no way to another thread, longer ones do', (t) => {
  const kernels = (workUs: number, runs: number = 1): Parameters<typeof kernelTime>[1] => ({
    runs,
    startUs: 10,
    workUs,
  });
  t.deepEqual(kernelTime({ handUs: 40 }, kernels(100)), { us: 110, isHere: true });
  t.deepEqual(kernelTime({ handUs: 40 }, kernels(SHORT_KERNEL_US)), { us: SHORT_KERNEL_US + 50, isHere: false });
  t.deepEqual(kernelTime({ handUs: 40 }, kernels(100, 2)), { us: 120, isHere: true });
  t.deepEqual(kernelTime({ handUs: 40 }, kernels(300, 3)), { us: 450, isHere: false });
});

test('a table of kernels that all had a thread of their own has its way in their starts', (t) => {
  t.deepEqual(kernelTime({}, { runs: 2, startUs: 50, workUs: 100 }), { us: 200, isHere: false });
});

test('an update takes as much longer as it reads of the gradients of others, and may be long by that alone', (t) => {
  const update = { kind: 'update', task: 1, runs: 2, collective: 0, copying: NO_COPYING } as const;
  const costs = { kernelUs: 30, updateUs: 10, readUsPerMiB: 150, copyUsPerMiB: 300 };
  const taskUs = Float64Array.of(7, 100);
  const usOf = (readBytes: number, known: object = {}): object =>
    kernelTime({ handUs: 40 }, kernelsOf({ ...update, readBytes }, taskUs, { ...costs, ...known }));
  t.deepEqual(usOf(0), { us: 120, isHere: true });
  t.deepEqual(usOf(2 ** 20), { us: 270, isHere: true });
  t.deepEqual(usOf(2 * 2 ** 20), { us: 500, isHere: false });
  t.deepEqual(usOf(2 ** 19, { readUsPerMiB: undefined }), { us: 270, isHere: true }, 'else as what is copied');
});
