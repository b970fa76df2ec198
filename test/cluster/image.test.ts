import test from 'ava';
import type { Image } from '../support/cluster/image.ts';
import { buildImage } from '../support/cluster/image.ts';
import { FULL_RUN } from '../support/full-run.ts';

const PLAN = ['--model', 'lenet', '--cluster', 'p100x4', '--proposals', '10', '--output', 'json'];

let image: Image;
test.before(async () => {
  image = await buildImage(FULL_RUN);
});
test.after.always(() => image?.remove());

test.serial('the image runs as the user of the pods, which is not root and cannot write to it', async (t) => {
  t.is(image.user, '65532:65532');
  t.is((await image.run('id', '-u')).output.trim(), '65532');
  t.not((await image.run('touch', '/opt/soapstone/x')).code, 0);
});

test.serial('what its programs are made of is compiled, and cannot be written to either', async (t) => {
  const traced = await image.run('env', 'NODE_DEBUG_NATIVE=COMPILE_CACHE', 'soapstone', 'worker');
  t.true(traced.output.split('was accepted').length > 100, traced.output.slice(-2000));
  t.not((await image.run('touch', '/opt/soapstone/compiled/x')).code, 0);
  t.not((await image.run('sh', '-c', 'touch /opt/soapstone/compiled/*/x')).code, 0);
});

test.serial('the image has the command, which plans, and the controller, which explains what it lacks', async (t) => {
  const help = await image.run('soapstone', '--help');
  t.is(help.code, 0, help.output);
  t.regex(help.output, /soapstone/);
  const planned = await image.run('soapstone', 'plan', ...PLAN);
  t.is(planned.code, 0, planned.output);
  t.regex(planned.output, /"best"/);
  const worker = await image.run('soapstone', 'worker');
  t.is(worker.code, 2);
  t.regex(worker.output, /SOAPSTONE_JOB/);
  const controller = await image.run('env', 'SOAPSTONE_METRICS_PORT=none', 'soapstone-controller');
  t.is(controller.code, 2);
  t.regex(controller.output, /port/i);
});
