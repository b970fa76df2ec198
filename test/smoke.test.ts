import test from 'ava';
import { soapstoneProcess } from './support/soapstone.ts';
import { goldenCase, relativeError } from './support/train-in-memory.ts';

test('the command trains golden mlp by a process a device, with the losses of PyTorch', async (t) => {
  const { directory, losses } = await goldenCase('mlp');
  const how = ['--devices', '2', '--strategy', 'data', '--steps', '5', '--output', 'json'];
  const { code, stdout, stderr } = await soapstoneProcess('run', `${directory}job.yaml`, ...how);
  t.is(code, 0, stderr);
  const result: { losses: number[] } = JSON.parse(stdout);
  t.is(result.losses.length, 5);
  t.true(relativeError(result.losses, losses.slice(0, 5)) <= 1e-5, `${result.losses}`);
});
