import { cpus } from 'node:os';
import test from 'ava';
import { withMeasuredLinks } from '../../cli/costs.ts';
import { readCluster } from '../../cli/model-subject.ts';
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
