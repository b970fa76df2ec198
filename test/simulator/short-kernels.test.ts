import test from 'ava';
import { kernelTime, SHORT_KERNEL_US } from '../../soap/simulator/host/short-kernels.ts';

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
