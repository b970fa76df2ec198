import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import type { ExecutionContext } from 'ava';
import test from 'ava';
import { lostPeerOf } from '../../runtime/transport/transport.ts';
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

/** Makes device 1 close its connections in mid-run and die half a second later: its peers know of it before its worker does. */
const DYING = `
let device;
process.once('message', (orders) => (device = orders.device));
const send = process.send;
process.send = (message, ...rest) => {
  if (device === 1 && message.type === 'step' && message.step >= 3) {
    for (const handle of process._getActiveHandles()) if (handle.constructor.name.endsWith('Socket')) handle.destroy();
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 500);
    process.kill(process.pid, 'SIGKILL');
  }
  return send.call(process, message, ...rest);
};`;

/** Trains on two devices, of which device 1 dies. Returns the errors of the pods. @param pods the devices of each */
async function failuresOf(t: ExecutionContext, pods: readonly (readonly number[])[]): Promise<unknown[]> {
  const golden = await goldenCase('mlp');
  const storage = await mkdtemp(join(tmpdir(), 'soapstone-'));
  t.teardown(() => rm(storage, { recursive: true }));
  await cp(golden.directory, storage, { recursive: true });
  process.env['NODE_OPTIONS'] = `--import=data:text/javascript,${encodeURIComponent(DYING)}`;
  const { training } = golden.loaded;
  const cluster = presetCluster('localx2');
  const strategy = dataParallel(training.graph, cluster);
  const prediction = evaluate({ training, cluster, costs: createRooflineCosts() }, strategy);
  const plan = encodePlan(createPlan({ training, cluster }, strategy, { prediction, baselines: {}, origin: 'data' }));
  const { epochs: _, ...settings } = golden.job.spec.training;
  const job = { ...golden.job, spec: { ...golden.job.spec, training: { ...settings, steps: 20 } } };
  const ports = await freePorts(2);
  const addresses = ports.map((port, device) => ({ device, node: `n${device}`, host: HOST, port }));
  const runs = pods.map((devices) =>
    runWorker({
      job,
      plan,
      addresses,
      devices,
      storage,
      listenHost: HOST,
      metrics: { host: HOST, port: 0 },
      token: 'token',
      session: 'lost/0',
      resume: false,
      connectTimeoutMs: 60_000,
      onEvent: () => undefined,
      stop: new AbortController().signal,
      signal: new AbortController().signal,
    }),
  );
  const ends = await Promise.allSettled(runs);
  return ends.map((end) => (end.status === 'rejected' ? end.reason : undefined));
}

test.serial(
  'a pod whose device dies fails with that, though another of its devices says first that it lost it',
  async (t) => {
    const [failure] = await failuresOf(t, [[0, 1]]);
    t.regex(String(failure), /the process of device 1 was killed by SIGKILL in step \d+/);
    t.is(lostPeerOf(failure), undefined);
  },
);

test.serial(
  'a pod that lost a device of another fails with that, where the other fails with how it died',
  async (t) => {
    const [lost, died] = await failuresOf(t, [[0], [1]]);
    t.regex(String(lost), /device 0, step \d+: device 1 is lost/);
    t.is(lostPeerOf(lost), 1);
    t.regex(String(died), /the process of device 1 was killed by SIGKILL/);
    t.is(lostPeerOf(died), undefined);
  },
);
