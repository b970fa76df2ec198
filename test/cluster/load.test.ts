import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CoreV1Api } from '@kubernetes/client-node';
import type { ExecutionContext } from 'ava';
import test from 'ava';
import { generatedWorld } from '../../bench/operator/generated-world.ts';
import { manyJobs } from '../../bench/operator/jobs.ts';
import { manyNodes } from '../../bench/operator/nodes.ts';
import { faultRounds } from '../../bench/operator/rounds.ts';
import type { ControlPlane } from '../support/cluster/control-plane.ts';
import { startControlPlane } from '../support/cluster/control-plane.ts';

const CRD = new URL('../../crds/trainingjobs.yaml', import.meta.url).pathname;

/** Small cases of the benchmark; what takes how long is for the large ones. */
async function plane(t: ExecutionContext): Promise<ControlPlane> {
  const server = await startControlPlane();
  t.teardown(() => server.stop());
  await server.kubectl('apply', '-f', CRD);
  await server.kubectl('wait', '--for=condition=Established', 'crd/trainingjobs.soapstone.dev', '--timeout=60s');
  return server;
}

test.serial('of many jobs at once with plans each gets its two pods on the nodes of its plan, once', async (t) => {
  const server = await plane(t);
  const jobs = 16;
  await manyJobs(server, jobs);
  const pods = (await server.kubeConfig.makeApiClient(CoreV1Api).listNamespacedPod({ namespace: 'default' })).items;
  const wanted = Array.from({ length: jobs }, (_, i) => {
    const pair = 2 * Math.floor(i / 8);
    return [`many-${i}-0-0 node-${pair}`, `many-${i}-0-1 node-${pair + 1}`];
  });
  const found = pods.map(({ metadata, spec }) => `${metadata?.name} ${spec?.nodeSelector?.['kubernetes.io/hostname']}`);
  t.deepEqual(found.toSorted(), wanted.flat().toSorted());
});

test.serial('labels that do not matter cause no visits', async (t) => {
  const [row] = await manyNodes(await plane(t), 20, 3);
  const { visits = Infinity, updates = 0 } = row?.measured ?? {};
  t.is(updates, 60);
  // The job that waits looks again each 15 s by itself.
  t.true(visits < updates / 4, `${visits} visits`);
});

test.serial('rounds of failures of the API server leave no files open, and the process at work', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'soapstone-load-'));
  t.teardown(() => rm(folder, { recursive: true }));
  const [row] = await faultRounds(await plane(t), folder, 40, 8000);
  const { 'before files': before = 0, 'after files': after = Infinity } = row?.measured ?? {};
  // 20 rounds, each of which closes every connection there is.
  t.true(after <= before + 10, `${before} files, then ${after}`);
});

test.serial('generated jobs, plans, labels and nodes crash nothing and stall no other job', async (t) => {
  const [row] = await generatedWorld(await plane(t), 200);
  // A job without a status within a minute, and a controller that is gone, throw. The server takes every one of the 50 plans.
  t.true((row?.measured['taken'] ?? 0) >= 50);
});
