import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import test from 'ava';
import { runWorker } from '../../runtime/worker/worker.ts';
import { presetCluster } from '../../soap/cluster/presets.ts';
import { createRooflineCosts } from '../../soap/cost/roofline.ts';
import { evaluate } from '../../soap/search/evaluate.ts';
import { dataParallel } from '../../soap/strategy/baselines/index.ts';
import { createPlan } from '../../soap/strategy/create-plan.ts';
import { encodePlan } from '../../soap/strategy/plan-file.ts';
import { freePorts } from '../support/ports.ts';
import { goldenCase } from '../support/train-in-memory.ts';

const HOST = '127.0.0.1';

/**
 * Makes a device's process sleep between saying that it is done and saying goodbye, and the first device take long to open its
 * part of a checkpoint: when it asks what has become of the other parts, the other device has told it and left.
 */
const SLOW = `
import fs from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
const { open } = fs;
fs.open = async (path, ...rest) => {
  if (/model-00001-of-/.test(String(path))) await new Promise((resolve) => setTimeout(resolve, 1000));
  return open(path, ...rest);
};
syncBuiltinESMExports();
const send = process.send;
process.send = (message, ...rest) => {
  const sent = send.call(process, message, ...rest);
  if (message.type === 'done') Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 500);
  return sent;
};`;

test('pods whose devices are done before others, and slow to leave, let all end well', async (t) => {
  const golden = await goldenCase('mlp');
  const storage = await mkdtemp(join(tmpdir(), 'soapstone-'));
  t.teardown(() => rm(storage, { recursive: true }));
  await cp(golden.directory, storage, { recursive: true });
  process.env['NODE_OPTIONS'] = `--import=data:text/javascript,${encodeURIComponent(SLOW)}`;
  const { training } = golden.loaded;
  const cluster = presetCluster('localx2');
  const strategy = dataParallel(training.graph, cluster);
  const prediction = evaluate({ training, cluster, costs: createRooflineCosts() }, strategy);
  const plan = encodePlan(createPlan({ training, cluster }, strategy, { prediction, baselines: {}, origin: 'data' }));
  const { epochs: _, ...settings } = golden.job.spec.training;
  const checkpoint = { directory: 'checkpoints', everySteps: 20, keep: 1 };
  const job = { ...golden.job, spec: { ...golden.job.spec, training: { ...settings, steps: 20 }, checkpoint } };
  const addresses = (await freePorts(2)).map((port, device) => ({ device, node: `n${device}`, host: HOST, port }));
  const pods = [0, 1].map((device) =>
    runWorker({
      job,
      plan,
      addresses,
      devices: [device],
      listenHost: HOST,
      metrics: { host: HOST, port: 0 },
      token: 'token',
      session: 'leaving/0',
      storage,
      resume: false,
      connectTimeoutMs: 60_000,
      onEvent: () => undefined,
      stop: new AbortController().signal,
      signal: new AbortController().signal,
    }),
  );
  t.deepEqual(await Promise.all(pods), [{ kind: 'done' }, { kind: 'done' }]);
});
