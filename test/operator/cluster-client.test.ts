import { once } from 'node:events';
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
    const client = new ClusterClient(await listenAsApiServer(server));
    t.teardown(async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    });
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
