import { once } from 'node:events';
import type { Server } from 'node:http';
import { createServer } from 'node:http';
import { text } from 'node:stream/consumers';
import test from 'ava';
import { applyFailure, ClusterClient } from '../../operator/apply/cluster-client.ts';
import { childMetadata } from '../../operator/decide/children.ts';
import { listenAsApiServer } from '../support/fake-server.ts';
import { jobResource } from '../support/kubernetes.ts';

const PLAN = '/api/v1/namespaces/default/configmaps/job-plan';
const KINDS = {
  kind: 'APIResourceList',
  groupVersion: 'v1',
  resources: [{ name: 'configmaps', kind: 'ConfigMap', namespaced: true }],
};
const PODS_PATH = '/api/v1/namespaces/default/pods';
const POD_KIND = { ...KINDS, resources: [{ name: 'pods', kind: 'Pod', namespaced: true }] };
const SECRET_KIND = { ...KINDS, resources: [{ name: 'secrets', kind: 'Secret', namespaced: true }] };
const CHILD = {
  apiVersion: 'v1',
  kind: 'ConfigMap',
  data: { 'plan.json': '{}' },
  metadata: childMetadata(jobResource(), 'job-plan'),
};
const ofJob = (uid: string): object => ({ ownerReferences: [{ kind: 'TrainingJob', name: 'job', uid }] });

/** What is there of the child's name, and whether it becomes the child; else the sentence that the job gets. */
const CASES: readonly (readonly [string, object | undefined, true | RegExp])[] = [
  ['nothing', undefined, true],
  ['the one of the visit before', ofJob('job-uid'), true],
  [
    'one of a job of the same name that is gone, not collected yet',
    { labels: CHILD.metadata.labels, ...ofJob('gone') },
    true,
  ],
  [
    "a user's own",
    { labels: { app: 'mine' } },
    /^ConfigMap default\/job-plan is there already and is not of this job: delete or rename it, or give the job another name$/,
  ],
  [
    "another's",
    { ownerReferences: [{ kind: 'Thing', name: 'x', uid: 'x' }] },
    /already and belongs to Thing x: delete/,
  ],
];

/** What has the name of a pod that a job needs, and whether that is waited for; else the sentence that the job gets. */
const PODS: readonly (readonly [string, object | undefined, true | RegExp])[] = [
  ['one of the visit before', ofJob('job-uid'), true],
  ['one of a job of the same name that is gone, not collected yet', ofJob('gone'), true],
  [
    "a set's",
    { labels: CHILD.metadata.labels, ownerReferences: [{ kind: 'StatefulSet', name: 'job-0', uid: 'x' }] },
    /^Pod default\/job-0-0 is there already and belongs to StatefulSet job-0: delete or rename it, or give the job another name$/,
  ],
  [
    "nobody's",
    { labels: CHILD.metadata.labels },
    /^Pod default\/job-0-0 is there already and is not of this job: delete/,
  ],
  [
    'none any more',
    undefined,
    /^an object of the job could not be created: the API server answered 409: there is one$/,
  ],
];

for (const [title, metadata, expected] of PODS) {
  test(`where a pod that a job needs is to be, there is ${title}`, async (t) => {
    const server = createServer((request, response) => {
      const [path] = (request.url ?? '').split('?');
      response.setHeader('content-type', 'application/json');
      const answer = (code: number, body: object): void => void response.writeHead(code).end(JSON.stringify(body));
      if (path === '/api/v1') answer(200, POD_KIND);
      else if (request.method === 'POST') answer(409, { kind: 'Status', message: 'there is one' });
      else if (metadata === undefined || path !== `${PODS_PATH}/job-0-0`) answer(404, {});
      else answer(200, { kind: 'Pod', metadata: { name: 'job-0-0', namespace: 'default', ...metadata } });
    });
    const client = new ClusterClient(await listenAsApiServer(server), 'soapstone-7d9-x2x');
    t.teardown(() => closed(server));
    const pod = { apiVersion: 'v1', kind: 'Pod', metadata: childMetadata(jobResource(), 'job-0-0') };
    if (expected === true) {
      await t.notThrowsAsync(client.createPod(pod));
      return;
    }
    const failure = applyFailure(await t.throwsAsync(client.createPod(pod)));
    t.is(failure.nameTaken, metadata === undefined ? undefined : true);
    t.regex(failure.message, expected);
  });
}

test("a pod's gate is lifted in one patch with the node that it is for", async (t) => {
  const patches: unknown[] = [];
  const server = createServer((request, response) => {
    void text(request).then((body) => {
      patches.push([request.method, request.url, request.headers['content-type'], JSON.parse(body)]);
      response.setHeader('content-type', 'application/json').end('{}');
    });
  });
  const client = new ClusterClient(await listenAsApiServer(server), 'soapstone-7d9-x2x');
  t.teardown(() => closed(server));
  await client.ungatePod('default', { name: 'job-0-0', hostname: 'a' });
  const spec = { schedulingGates: [], nodeSelector: { 'kubernetes.io/hostname': 'a' } };
  t.deepEqual(patches, [['PATCH', `${PODS_PATH}/job-0-0`, 'application/merge-patch+json', { spec }]]);
});

test('an event names the replica that wrote it, as far as the API server takes its name', async (t) => {
  const instances: unknown[] = [];
  const server = createServer((request, response) => {
    void text(request).then((body) => {
      instances.push(Object(JSON.parse(body)).reportingInstance);
      response.setHeader('content-type', 'application/json').end('{}');
    });
  });
  const config = await listenAsApiServer(server);
  t.teardown(() => closed(server));
  const { apiVersion, kind } = jobResource();
  const regarding = { apiVersion, kind, name: 'job', namespace: 'default', uid: 'job-uid' };
  for (const replica of ['soapstone-7d9-x2x', 'x'.repeat(200)])
    await new ClusterClient(config, replica).writeEvent(
      regarding,
      { type: 'Normal', reason: 'R', message: '' },
      new Date(),
    );
  t.deepEqual(instances, ['soapstone-7d9-x2x', 'x'.repeat(128)]);
});

/** What is there where the object of an attempt is to be, and whether the attempt's secrets are made to belong to it. */
const ATTEMPTS: readonly (readonly [string, { ownerReferences?: object[] } | undefined, true | RegExp])[] = [
  ['nothing', undefined, true],
  ['that of the visit before', { ownerReferences: [{ kind: 'TrainingJob', name: 'job', uid: 'job-uid' }] }, true],
  ["another's", {}, /^ControllerRevision default\/job-2-job-uid is there already and is not of this job: delete/],
];

for (const [title, found, expected] of ATTEMPTS) {
  test(`secrets belong to the object of their attempt, with which they go; where that is to be, there is ${title}`, async (t) => {
    const [revisions, api] = ['/apis/apps/v1/namespaces/default/controllerrevisions', '/api/v1'];
    const secrets: [name: unknown, owners: unknown][] = [];
    const server = createServer((request, response) => {
      const [path] = (request.url ?? '').split('?');
      response.setHeader('content-type', 'application/json');
      const answer = (code: number, body: object): void => void response.writeHead(code).end(JSON.stringify(body));
      const metadata = { name: 'job-2-job-uid', namespace: 'default', uid: 'attempt-uid', ...found };
      if (path === api) answer(200, SECRET_KIND);
      else if (path === revisions) answer(found === undefined ? 201 : 409, { metadata });
      else if (path === `${revisions}/job-2-job-uid`) answer(200, { metadata });
      else if (path === `${api}/namespaces/default/secrets` && request.method === 'POST')
        void text(request).then((body) => {
          const made = Object(JSON.parse(body)).metadata;
          secrets.push([made.name, made.ownerReferences]);
          answer(201, { kind: 'Secret', metadata: made });
        });
      else answer(404, {});
    });
    const client = new ClusterClient(await listenAsApiServer(server), 'soapstone-7d9-x2x');
    t.teardown(() => closed(server));
    const ensured = client.ensureSecrets(jobResource(), ['token'], 2);
    if (expected !== true) {
      t.regex(applyFailure(await t.throwsAsync(ensured)).message, expected);
      t.deepEqual(secrets, [], 'they would be for good');
      return;
    }
    await ensured;
    const owner = { apiVersion: 'apps/v1', kind: 'ControllerRevision', name: 'job-2-job-uid', uid: 'attempt-uid' };
    t.deepEqual(secrets, [['job-2-token-job-uid', [{ ...owner, controller: true }]]]);
  });
}

/** What the API server answers to the deletion of a Workload, and the sentence that the job gets. */
const WORKLOADS: readonly (readonly [number, RegExp | undefined])[] = [
  [200, undefined],
  [404, undefined],
  [
    403,
    /^Kueue holds pods .* until Workload default\/job-0 is deleted, .*: set rbac.queues of the chart, or delete it$/,
  ],
];

for (const [code, expected] of WORKLOADS) {
  test(`the Workload of a group is deleted; the API server answers ${code}`, async (t) => {
    const requests: string[] = [];
    const server = createServer(({ method, url }, response) => {
      requests.push(`${method} ${url}`);
      response.writeHead(code, { 'content-type': 'application/json' }).end('{}');
    });
    const client = new ClusterClient(await listenAsApiServer(server), 'soapstone-7d9-x2x');
    t.teardown(() => closed(server));
    const deleted = client.deleteWorkload('default', 'job-0');
    if (expected === undefined) await deleted;
    else t.regex(applyFailure(await t.throwsAsync(deleted)).message, expected);
    t.deepEqual(requests, ['DELETE /apis/kueue.x-k8s.io/v1beta1/namespaces/default/workloads/job-0']);
  });
}

async function closed(server: Server): Promise<void> {
  server.closeAllConnections();
  server.close();
  await once(server, 'close');
}

for (const [title, metadata, expected] of CASES) {
  test(`where an object that a job needs is to be, there is ${title}`, async (t) => {
    const patches: Record<string, unknown>[] = [];
    const server = createServer((request, response) => {
      const [path] = (request.url ?? '').split('?');
      response.setHeader('content-type', 'application/json');
      const answer = (code: number, body: object): void => void response.writeHead(code).end(JSON.stringify(body));
      if (path === '/api/v1') answer(200, KINDS);
      else if (path !== PLAN) answer(400, {});
      else if (request.method === 'GET' && metadata === undefined) answer(404, {});
      else if (request.method === 'GET')
        answer(200, { ...CHILD, metadata: { name: 'job-plan', namespace: 'default', uid: 'there', ...metadata } });
      else
        void text(request).then((body) => {
          patches.push(Object(JSON.parse(body)));
          answer(200, CHILD);
        });
    });
    const client = new ClusterClient(await listenAsApiServer(server), 'soapstone-7d9-x2x');
    t.teardown(() => closed(server));
    const applied = client.apply(CHILD);
    if (expected === true) {
      await applied;
      const uid = metadata === undefined ? {} : { uid: 'there' };
      t.deepEqual(patches, [{ ...CHILD, metadata: { ...CHILD.metadata, ...uid } }], 'no other that takes its place');
      return;
    }
    const failure = applyFailure(await t.throwsAsync(applied));
    t.true(failure.nameTaken);
    t.regex(failure.message, expected);
    t.deepEqual(patches, [], 'it stays as it is');
  });
}
