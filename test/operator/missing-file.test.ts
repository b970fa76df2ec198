import { mkdir, rm, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import process from 'node:process';
import type { V1Pod } from '@kubernetes/client-node';
import test from 'ava';
import type { TrainingJobResource } from '../../operator/api/resource.ts';
import { decide } from '../../operator/decide/decide.ts';
import type { Decision } from '../../operator/decide/types.ts';
import { MISSING_FILE_EXIT_CODE } from '../../soap/job/handoff.ts';
import { folderOf, splitWeights } from '../model/split-weights.ts';
import { NOW, optionsAfter } from '../support/decide-options.ts';
import { gpuNode, jobResource } from '../support/kubernetes.ts';
import { soapstone } from '../support/soapstone.ts';

const SAID =
  "cannot read model 'models/m.onnx' in spec.storage: there is no such file; correct spec.model.onnx, or put it there";
const SPEC = { model: { onnx: 'models/m.onnx' }, storage: { persistentVolumeClaim: { claimName: 'data' } } };

function podWith(status: V1Pod['status']): V1Pod {
  const ownerReferences = [{ apiVersion: 'x', kind: 'TrainingJob', name: 'job', uid: 'job-uid' }];
  const labels = { 'soapstone.dev/job': 'job', 'soapstone.dev/inspects': '1' };
  return {
    metadata: { name: 'job-inspect-1', namespace: 'default', labels, ownerReferences },
    spec: { nodeName: 'a', containers: [] },
    ...(status && { status }),
  };
}

/** The pod that looked for the file in vain, and ended so many seconds after the tests begin. */
function endedAfter(seconds: number, exitCode: number = MISSING_FILE_EXIT_CODE): V1Pod {
  const finishedAt = new Date(NOW.getTime() + 1000 * seconds);
  const terminated = { exitCode, finishedAt, message: `a line of a wrapper\nsoapstone: ${SAID}\n` };
  const container = { name: 'inspect', image: '', imageID: '', ready: false, restartCount: 0, state: { terminated } };
  return podWith({ phase: 'Failed', containerStatuses: [container] });
}

/** A job that is visited so many seconds after the tests begin, and keeps the status that it gets. */
class Job {
  #resource: TrainingJobResource;

  constructor(spec: Readonly<Record<string, unknown>> = {}) {
    this.#resource = jobResource({ ...SPEC, ...spec });
  }

  visit(seconds: number, ...pods: V1Pod[]): Decision {
    const nodes = [gpuNode('a', 1), gpuNode('b', 1)];
    const observed = { nodes, pods, plan: undefined, search: { kind: 'none' }, applyError: undefined } as const;
    const decision = decide({ resource: this.#resource, ...observed }, optionsAfter(seconds));
    this.#resource = { ...this.#resource, status: decision.status };
    return decision;
  }

  changeSpec(): void {
    const { metadata } = this.#resource;
    this.#resource = { ...this.#resource, metadata: { ...metadata, generation: (metadata.generation ?? 0) + 1 } };
  }
}

test('a file that a claim lacks is waited for: the condition says which, where, what to do and when another pod looks', (t) => {
  const job = new Job();
  const { status, deletePods, pods, startSearch, requeueAfterMs, events } = job.visit(1, endedAfter(0));
  t.deepEqual([status.state, status.reason], ['Searching', 'ModelUnavailable']);
  t.is(
    status.message,
    `PersistentVolumeClaim 'data' lacks a file: ${SAID}; paths are relative to its root; ` +
      'it is looked for again at 2026-11-24T12:00:05Z, or at once if pod job-inspect-1 is deleted',
  );
  t.deepEqual([deletePods, pods, startSearch], [[], [], undefined], 'the pod stays for its log');
  t.is(requeueAfterMs, 4000);
  t.deepEqual(
    events.filter(({ type }) => type === 'Warning').map(({ reason }) => reason),
    ['ModelUnavailable'],
  );
  t.is(job.visit(2, endedAfter(0)).status.message, status.message, 'what is written once is not written again');
});

test('when its time has come the pod goes, another looks, and the condition stays until that has found the file', (t) => {
  const job = new Job();
  const { message } = job.visit(0, endedAfter(0)).status;
  t.deepEqual(job.visit(5, endedAfter(0)).deletePods, [{ name: 'job-inspect-1', force: false }]);
  const going = endedAfter(0);
  going.metadata!.deletionTimestamp = NOW;
  t.deepEqual(job.visit(6, going).deletePods, []);
  t.is(job.visit(7).pods[0]?.metadata.name, 'job-inspect-1');
  const running = job.visit(8, podWith({ phase: 'Running' }));
  t.deepEqual([running.status.reason, running.status.message, running.events], ['ModelUnavailable', message, []]);
  const found = job.visit(9, podWith({ phase: 'Succeeded' }));
  t.deepEqual([found.status.reason, found.startSearch?.inspector], ['Searching', 'job-inspect-1']);
});

test('the pause is 5 s at first, then as long as the file is missing, and two minutes at most', (t) => {
  const job = new Job();
  const pauses: number[] = [];
  let endedSeconds = 0;
  for (let look = 0; look < 9; look++) {
    const { requeueAfterMs = 0 } = job.visit(endedSeconds, endedAfter(endedSeconds));
    pauses.push(requeueAfterMs / 1000);
    endedSeconds += requeueAfterMs / 1000;
  }
  t.deepEqual(pauses, [5, 5, 10, 20, 40, 80, 120, 120, 120]);
});

test('what keeps the pod that looks again is told; a changed spec begins anew; the deadline and a suspension hold', (t) => {
  const job = new Job({ activeDeadlineSeconds: 60 });
  job.visit(0, endedAfter(0));
  const conditions = [{ type: 'PodScheduled', status: 'False', reason: 'Unschedulable', message: 'no room' }];
  t.is(job.visit(6, podWith({ phase: 'Pending', conditions })).status.reason, 'Unschedulable');
  t.is(job.visit(50, endedAfter(49)).requeueAfterMs, 10_000, 'the deadline comes before another look');
  t.is(job.visit(61, endedAfter(49)).status.reason, 'DeadlineExceeded');

  const other = new Job();
  other.visit(0, endedAfter(0));
  other.changeSpec();
  const anew = other.visit(1, endedAfter(0));
  t.deepEqual([anew.status.reason, anew.pods[0]?.metadata.name], ['Inspecting', 'job-inspect-2']);
  t.deepEqual(anew.deletePods, [{ name: 'job-inspect-1', force: false }]);

  const suspended = new Job({ suspend: true });
  t.deepEqual(suspended.visit(0, endedAfter(0)).deletePods, [{ name: 'job-inspect-1', force: false }]);
});

test('a file that a folder of a node lacks is named with the node; a pod of an image before this one fails the job', (t) => {
  const onNode = new Job({ storage: { hostPath: { path: '/models' } } }).visit(0, endedAfter(0));
  t.regex(onNode.status.message, /^hostPath \/models of node a lacks a file: cannot read model /);
  const network = new Job({ storage: { nfs: { server: 's', path: '/' } } }).visit(0, endedAfter(0));
  t.regex(network.status.message, /^spec\.storage lacks a file: cannot read model /);
  t.deepEqual(new Job().visit(0, endedAfter(0, 2)).status.reason, 'ModelUnreadable');
});

test('soapstone inspect ends with 66 for what is not there, model, weights or plan, and with 2 for what is wrong', async (t) => {
  const { model, data } = await splitWeights();
  const folder = await folderOf(t, { model, data });
  await writeFile(join(folder, 'damaged.onnx'), 'damaged');
  await utimes(join(folder, 'damaged.onnx'), 0, 0);
  await writeFile(join(folder, 'underway.onnx'), 'half');
  await mkdir(join(folder, 'folder'));
  process.env['SOAPSTONE_STORAGE'] = folder;
  t.teardown(() => ['SOAPSTONE_STORAGE', 'SOAPSTONE_INSPECT'].forEach((name) => delete process.env[name]));
  const inspect = async (order: object): Promise<[number, string]> => {
    process.env['SOAPSTONE_INSPECT'] = JSON.stringify({ ...order, batch: 8 });
    const { code, stderr } = await soapstone('inspect');
    return [code, stderr];
  };
  t.deepEqual(await inspect({ onnx: 'models/m.onnx' }), [66, `soapstone: ${SAID}\n`]);
  t.deepEqual(await inspect({ plan: 'p.json' }), [
    66,
    "soapstone: cannot read plan 'p.json' in spec.storage: there is no such file; correct spec.plan, or put it there\n",
  ]);
  t.is((await inspect({ onnx: 'underway.onnx' }))[0], 66);
  for (const onnx of ['damaged.onnx', 'folder', 'damaged.onnx/m.onnx', '../m.onnx'])
    t.is((await inspect({ onnx }))[0], 2, onnx);
  t.deepEqual(await inspect({ onnx: 'model.onnx' }), [0, '']);
  await rm(join(folder, 'weights.bin'));
  const [code, said] = await inspect({ onnx: 'model.onnx' });
  t.is(code, 66);
  t.regex(
    said,
    /^soapstone: model\.onnx: tensor '.+' .* there is no 'weights\.bin' beside model\.onnx .*put it there too/,
  );
});
