import { cpus } from 'node:os';
import test from 'ava';
import { withMeasuredLinks } from '../../cli/machine/costs.ts';
import { readCluster } from '../../cli/model/model-subject.ts';
import { measuredOn, ON_A_CORE } from '../../cli/profile/measured-on.ts';
import { machineInWords, thisMachine } from '../../cli/machine/this-machine.ts';
import { UsageError } from '../../cli/command-line/usage-error.ts';
import type { KernelProvider } from '../../soap/job/kernel-providers.ts';
import { isReadSum } from '../../soap/tasks/read-sums.ts';
import { kernelsVersion } from '../../soap/version.ts';
import type { HostCosts } from '../../soap/cost/cost-table.ts';
import { createRooflineCosts } from '../../soap/cost/roofline.ts';

const HOST: HostCosts = {
  cores: 2,
  startUs: 1,
  kernelUs: 1,
  updateUs: 1,
  taskShare: 1,
  messageUs: 10,
  receiveUs: 5,
  messageUsPerMiB: 100,
  receiveUsPerMiB: 50,
  wakeUs: 2,
  copyUsPerMiB: 1,
  sumUsPerMiB: 1,
  copyUsPerRun: 1,
  stepUs: 1,
  crowding: 1,
};

test('numbers of this machine name its processor, and say that they are assumed until they are measured', async (t) => {
  const cluster = withMeasuredLinks(await readCluster('localx2'), createRooflineCosts());
  const sources = new Set([...cluster.devices, ...cluster.links].map(({ source }) => source));
  t.is(sources.size, 1);
  const [source = ''] = sources;
  const words = cpus()[0]?.model.trim().split(/\s+/) ?? [];
  t.regex(source, /^an assumption about a core of .+; soapstone profile measures it$/);
  for (const word of words) t.true(word === 'unknown' || source.includes(word), source);
});

test('links that were measured say so; cores do not', async (t) => {
  const { devices, links } = withMeasuredLinks(await readCluster('localx2'), {
    ...createRooflineCosts(),
    host: () => HOST,
  });
  t.deepEqual(new Set(links.map(({ source }) => source)), new Set(['soapstone profile']));
  t.true(devices.every(({ source }) => source.startsWith('an assumption')));
});

const H100 = {
  name: 'NVIDIA H100 80GB HBM3',
  memoryBytes: 80e9,
  flopsPerSec: 67e12,
  memoryBandwidthBytesPerSec: 3350e9,
};
const CARD = {
  name: 'NVIDIA GeForce RTX 4090',
  memoryBytes: 24e9,
  flopsPerSec: 83e12,
  memoryBandwidthBytesPerSec: 1e12,
};

test('devices are GPUs where these compute, taken in turn and shared where they are fewer, known by the name of labelled nodes', (t) => {
  const cluster = thisMachine(3, [H100, CARD]);
  const numbers = cluster.devices.map(({ name, type, flopsPerSec, memoryBandwidthBytesPerSec, memoryBytes }) => [
    name,
    type,
    flopsPerSec,
    memoryBandwidthBytesPerSec,
    memoryBytes,
  ]);
  t.deepEqual(numbers, [
    ['local/gpu0', 'H100', 33.5e12, 1675e9, 40e9],
    ['local/gpu1', 'NVIDIA-GeForce-RTX-4090', 83e12, 1e12, 24e9],
    ['local/gpu2', 'H100', 33.5e12, 1675e9, 40e9],
  ]);
  t.regex(
    machineInWords(cluster, [H100, CARD]),
    /^3 devices, which share GPUs, 33500 GFLOP\/s \(.*NVIDIA H100 80GB HBM3.*2 devices/,
  );
  t.regex(machineInWords(thisMachine(1, [CARD]), [CARD]), /^1 device, one GPU each, 83000 GFLOP\/s/);
});

test('tensors of GPUs go through memory of the machine as those of cores do, but gradients are not read where they lie', (t) => {
  const [gpus, cores] = [thisMachine(2, [H100, H100]), thisMachine(2)];
  t.deepEqual(gpus.path(0, 1), cores.path(0, 1));
  t.true(isReadSum(cores, [0, 1], 1 << 20));
  t.false(isReadSum(gpus, [0, 1], 1 << 20));
});

test('a profile measures what would be planned for: a GPU where CUDA computes on one, else a core', (t) => {
  const onGpu = (provider: KernelProvider): (typeof H100)[] =>
    provider === 'cuda' || provider === 'auto' ? [H100] : [];
  const nowhere = (): [] => [];
  t.like(measuredOn(undefined, 'auto', onGpu), {
    deviceType: 'H100',
    kernels: kernelsVersion('cuda'),
    withIterations: false,
  });
  t.like(measuredOn('cuda', 'cpu', onGpu).engine, { provider: 'cuda' });
  t.is(measuredOn('cpu', 'cuda', onGpu), ON_A_CORE);
  t.is(measuredOn(undefined, 'webgpu', onGpu), ON_A_CORE);
  t.is(measuredOn(undefined, 'cuda', nowhere), ON_A_CORE);
  for (const asked of ['cuda', 'webgpu', 'reference'] as const)
    t.throws(() => measuredOn(asked, 'auto', nowhere), {
      instanceOf: UsageError,
      message: new RegExp(`--provider is ${asked}, .*expected`),
    });
});
