import { once } from 'node:events';
import type { Server, ServerResponse } from 'node:http';
import { createServer } from 'node:http';
import { json } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ExecutionContext } from 'ava';
import test from 'ava';
import { loadConfig } from '../../operator/config.ts';
import { startController } from '../../operator/controller.ts';
import { listenAsApiServer } from '../support/fake-server.ts';
import { gpuNode, jobResource, podOn } from '../support/kubernetes.ts';

const JOBS = '/apis/soapstone.dev/v1alpha1/trainingjobs';

/** Stops a controller at the end of a test, and what it took for the API server. */
function endAfter(t: ExecutionContext, controller: { stop(): Promise<void> }, server: Server): void {
  t.teardown(async () => {
    await controller.stop();
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
  });
}

test('while one kind cannot be listed nothing is visited, and the end waits for no visit; then every job is', async (t) => {
  const loaded = loadConfig({}, ['--progress-seconds=0']);
  if ('help' in loaded) return t.fail();
  const [jobsWatched, podsRefused, visited] = [0, 0, 0].map(() => Promise.withResolvers<void>());
  let servesPods = false;
  const list = (response: ServerResponse, items: readonly object[]): void =>
    void response.end(JSON.stringify({ kind: 'List', metadata: { resourceVersion: '7' }, items }));
  const server = createServer(({ method, url }, response) => {
    const { pathname, searchParams } = new URL(url ?? '', 'http://fake');
    const isWatch = searchParams.get('watch') === 'true';
    if (pathname === JOBS && isWatch) jobsWatched!.resolve();
    if (pathname === '/api/v1/pods' && !servesPods) podsRefused!.resolve();
    if (method === 'PATCH' && pathname.endsWith('/trainingjobs/job/status')) visited!.resolve();
    if (isWatch) response.flushHeaders();
    else if (pathname === JOBS) list(response, [jobResource()]);
    else if (pathname === '/api/v1/nodes' || (pathname === '/api/v1/pods' && servesPods)) list(response, []);
    else response.writeHead(pathname === '/api/v1/pods' ? 500 : 404).end('{}');
  });
  const kubeConfig = await listenAsApiServer(server);
  t.teardown(async () => {
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
  });
  const start = (): ReturnType<typeof startController> =>
    startController(kubeConfig, loaded.config, () => undefined, {
      informerTimes: { firstDelayMs: 1, maxDelayMs: 5 },
    });
  const waiting = await start();
  await Promise.all([jobsWatched!.promise, podsRefused!.promise]);
  t.is(waiting.longestVisitSeconds(), 0, 'or the process would be taken for hung');
  await waiting.stop();

  const controller = await start();
  servesPods = true;
  await visited!.promise;
  await controller.stop();
});

test('a watched namespace that is refused stands still alone, and makes nobody unready; once it is let in, it is served', async (t) => {
  const loaded = loadConfig({}, ['--progress-seconds=0']);
  if ('help' in loaded) return t.fail();
  const visits = { 'team-a': Promise.withResolvers<void>(), 'team-b': Promise.withResolvers<void>() };
  let isGone = true;
  let visitsOfB = 0;
  const server = createServer(({ method, url }, response) => {
    const { pathname, searchParams } = new URL(url ?? '', 'http://fake');
    const list = (items: readonly object[]): void =>
      void response.end(JSON.stringify({ kind: 'List', metadata: { resourceVersion: '7' }, items }));
    const namespace = /\/namespaces\/(team-[ab])\//.exec(pathname)?.[1] === 'team-b' ? 'team-b' : 'team-a';
    if (namespace === 'team-b' && isGone && method === 'PATCH') visitsOfB += 1;
    if (method === 'PATCH' && pathname.endsWith('/trainingjobs/job/status')) visits[namespace].resolve();
    const { metadata, ...job } = jobResource();
    // Its pods alone are refused: its jobs are known, and none of them may be taken for one without pods.
    if (namespace === 'team-b' && isGone && pathname.endsWith('/pods')) response.writeHead(403).end('{}');
    else if (searchParams.get('watch') === 'true') response.flushHeaders();
    else if (pathname.endsWith('/trainingjobs')) list([{ ...job, metadata: { ...metadata, namespace } }]);
    else if (/\/(nodes|pods)$/.test(pathname)) list([]);
    else response.writeHead(404).end('{}');
  });
  const kubeConfig = await listenAsApiServer(server);
  const controller = await startController(kubeConfig, loaded.config, () => undefined, {
    watchNamespaces: ['team-a', 'team-b'],
    informerTimes: { firstDelayMs: 1, maxDelayMs: 20 },
  });
  endAfter(t, controller, server);
  const series = 'soapstone_namespace_refused{namespace="team-b"} 1';
  await controller.synced;
  await visits['team-a'].promise;
  t.true((await controller.metrics.registry.metrics()).includes(series));
  t.deepEqual([controller.staleMs(), visitsOfB], [0, 0]);

  isGone = false;
  await visits['team-b'].promise;
  t.false((await controller.metrics.registry.metrics()).includes(series));
});

test('jobs of a namespace that is refused are not counted, and once it is gone their pods hold no devices', async (t) => {
  t.timeout(60_000);
  const loaded = loadConfig({}, ['--progress-seconds=0']);
  if ('help' in loaded) return t.fail();
  const { metadata, ...job } = jobResource({ devices: { min: 2, max: 2 } });
  const ours = { ...job, metadata: { ...metadata, namespace: 'team-a' }, status: { state: 'WaitingForDevices' } };
  const states: string[] = [];
  const theirs = {
    ...job,
    metadata: { ...metadata, namespace: 'team-b', uid: 'b' },
    status: { ...job.status, state: 'Running', devices: 2 },
  };
  const pod = podOn('a', 2, 'Running');
  const theirPod = { ...pod, metadata: { ...pod.metadata, namespace: 'team-b', uid: 'p' } };
  const watchesOfB = new Set<ServerResponse>();
  const nodesWatched = Promise.withResolvers<ServerResponse>();
  let [isRefused, isGone] = [false, false];
  const server = createServer((request, response) => {
    const { pathname, searchParams } = new URL(request.url ?? '', 'http://fake');
    const list = (items: readonly object[]): void =>
      void response.end(JSON.stringify({ kind: 'List', metadata: { resourceVersion: '7' }, items }));
    response.setHeader('content-type', 'application/json');
    const isOfB = pathname.includes('/namespaces/team-b');
    if (pathname === '/api/v1/namespaces/team-b') response.writeHead(isGone ? 404 : 200).end('{}');
    else if (isOfB && isRefused) response.writeHead(403).end('{}');
    else if (searchParams.get('watch') === 'true') {
      response.flushHeaders();
      if (isOfB) watchesOfB.add(response);
      if (pathname === '/api/v1/nodes') nodesWatched.resolve(response);
    } else if (pathname.endsWith('/trainingjobs')) list([isOfB ? theirs : ours]);
    else if (pathname.endsWith('/pods')) list(isOfB ? [theirPod] : []);
    else if (pathname === '/api/v1/nodes') list([gpuNode('a', 2)]);
    else if (request.method === 'PATCH' && pathname.endsWith('/trainingjobs/job/status'))
      void json(request).then((body) => {
        const { status } = Object(body);
        if (!isOfB) states.push(status.state);
        response.end(JSON.stringify({ ...(isOfB ? theirs : ours), status }));
      });
    else response.writeHead(404).end('{}');
  });
  const controller = await startController(await listenAsApiServer(server), loaded.config, () => undefined, {
    watchNamespaces: ['team-a', 'team-b'],
    informerTimes: { firstDelayMs: 1, maxDelayMs: 20 },
  });
  endAfter(t, controller, server);
  const metrics = async (): Promise<string> => controller.metrics.registry.metrics();
  const counts = 'soapstone_job_devices{namespace="team-b",job_name="job"}';
  while (states.length === 0) await sleep(10);
  t.deepEqual([states[0], (await metrics()).includes(counts)], ['WaitingForDevices', true]);
  isRefused = true;
  for (const watch of watchesOfB) watch.destroy();
  while (!(await metrics()).includes('soapstone_namespace_refused{namespace="team-b"} 1')) await sleep(10);
  t.false((await metrics()).includes(counts));
  t.is(states.at(-1), 'WaitingForDevices', 'its pods may run still');
  isGone = true;
  // Jobs that wait look by themselves every 15 s, and at once where a node changes.
  for (let gpus = 3; states.at(-1) === 'WaitingForDevices'; gpus = 5 - gpus) {
    const object = { ...gpuNode('a', gpus), metadata: { ...gpuNode('a', gpus).metadata, resourceVersion: '8' } };
    (await nodesWatched.promise).write(`${JSON.stringify({ type: 'MODIFIED', object })}\n`);
    await sleep(200);
  }
  t.is(states.at(-1), 'Searching');
});

test('a controller that leads again has nothing left of its former term: it searches no more, and reads the plan that was given meanwhile', async (t) => {
  const loaded = loadConfig({}, ['--progress-seconds=0']);
  if ('help' in loaded) return t.fail();
  const job = jobResource({ profile: false, search: { seconds: 3600 } }, { attempt: 1, iteration: '1 ms' });
  let plansRead = 0;
  const server = createServer((request, response) => {
    const { pathname, searchParams } = new URL(request.url ?? '', 'http://fake');
    const list = (items: readonly object[]): void =>
      void response.end(JSON.stringify({ kind: 'List', metadata: { resourceVersion: '7' }, items }));
    response.setHeader('content-type', 'application/json');
    if (pathname.endsWith('/configmaps/job-plan')) plansRead += 1;
    if (searchParams.get('watch') === 'true') response.flushHeaders();
    else if (pathname === JOBS) list([job]);
    else if (pathname === '/api/v1/nodes') list([gpuNode('a', 2)]);
    else if (pathname === '/api/v1/pods') list([]);
    else if (request.method === 'PATCH' && pathname.endsWith('/trainingjobs/job/status'))
      void json(request).then((body) => response.end(JSON.stringify({ ...job, status: Object(body).status })));
    else response.writeHead(404).end('{}');
  });
  const kubeConfig = await listenAsApiServer(server);
  let leads = true;
  const controller = await startController(kubeConfig, loaded.config, () => undefined, { leads: () => leads });
  endAfter(t, controller, server);
  const lines = async (): Promise<string[]> => (await controller.metrics.registry.metrics()).split('\n');
  const searching = async (count: number): Promise<void> => {
    while (!(await lines()).includes(`soapstone_searches_running ${count}`)) await sleep(10);
  };
  const found = async (): Promise<boolean> =>
    (await lines()).some((line) => line.startsWith('soapstone_job_search_best_iteration_seconds{'));
  await searching(1);
  while (!(await found())) await sleep(10);
  const before = plansRead;
  leads = false;
  controller.standBy();
  t.false(await found(), 'a standby tells of no search');
  await searching(0);
  leads = true;
  controller.lead();
  await searching(1);
  t.true(plansRead > before);
});

test('once a job has ended its search ends, and its plan is read no more', async (t) => {
  const loaded = loadConfig({}, ['--progress-seconds=0']);
  if ('help' in loaded) return t.fail();
  const job = jobResource({ profile: false, search: { seconds: 3600 } }, { iteration: '1 ms' });
  const failed = { type: 'Failed', status: 'True', reason: 'DeadlineExceeded', message: 'took too long' } as const;
  const conditions = [{ ...failed, lastTransitionTime: '2026-11-24T12:00:00Z', observedGeneration: 1 }];
  const metadata = { ...job.metadata, resourceVersion: '1000' };
  const ended = { ...job, metadata, status: { ...job.status, conditions } };
  const jobsWatched = Promise.withResolvers<ServerResponse>();
  let plansRead = 0;
  const server = createServer((request, response) => {
    const { pathname, searchParams } = new URL(request.url ?? '', 'http://fake');
    const list = (items: readonly object[]): void =>
      void response.end(JSON.stringify({ kind: 'List', metadata: { resourceVersion: '7' }, items }));
    response.setHeader('content-type', 'application/json');
    if (pathname.endsWith('/configmaps/job-plan')) plansRead += 1;
    if (searchParams.get('watch') === 'true') {
      response.flushHeaders();
      if (pathname === JOBS) jobsWatched.resolve(response);
    } else if (pathname === JOBS) list([job]);
    else if (pathname === '/api/v1/nodes') list([gpuNode('a', 2)]);
    else if (pathname === '/api/v1/pods') list([]);
    else if (request.method === 'PATCH' && pathname.endsWith('/trainingjobs/job/status'))
      void json(request).then((body) => response.end(JSON.stringify({ ...job, status: Object(body).status })));
    else response.writeHead(404).end('{}');
  });
  const controller = await startController(await listenAsApiServer(server), loaded.config, () => undefined);
  endAfter(t, controller, server);
  const has = async (line: string): Promise<boolean> =>
    (await controller.metrics.registry.metrics()).split('\n').includes(line);
  while (!(await has('soapstone_searches_running 1'))) await sleep(10);
  const readBefore = plansRead;
  t.true(readBefore > 0);
  (await jobsWatched.promise).write(`${JSON.stringify({ type: 'MODIFIED', object: ended })}\n`);
  while (!(await has('soapstone_searches_running 0'))) await sleep(10);
  const again = { ...ended, metadata: { ...metadata, resourceVersion: '1001' } };
  const visits = /reconcile_total\{controller="trainingjob",result="success"\} (\d+)/;
  const visited = async (): Promise<number> =>
    Number(visits.exec(await controller.metrics.registry.metrics())?.[1] ?? 0);
  const before = await visited();
  (await jobsWatched.promise).write(`${JSON.stringify({ type: 'MODIFIED', object: again })}\n`);
  while ((await visited()) === before) await sleep(10);
  t.is(plansRead, readBefore);
});

test('what the API server refuses is counted at each visit, by its reason, and told once', async (t) => {
  const loaded = loadConfig({}, ['--progress-seconds=0']);
  if ('help' in loaded) return t.fail();
  const lastTransitionTime = '2026-11-24T12:00:00Z';
  const complete = { type: 'Complete', status: 'True', reason: 'TrainingComplete', message: 'trained' } as const;
  const conditions = [{ ...complete, lastTransitionTime, observedGeneration: 1 }];
  const job = jobResource({ ttlSecondsAfterFinished: 0 }, { conditions });
  const changed = { ...job, metadata: { ...job.metadata, resourceVersion: '8', labels: { changed: 'true' } } };
  const jobsWatched = Promise.withResolvers<ServerResponse>();
  const server = createServer((request, response) => {
    const { pathname, searchParams } = new URL(request.url ?? '', 'http://fake');
    const list = (items: readonly object[]): void =>
      void response.end(JSON.stringify({ kind: 'List', metadata: { resourceVersion: '7' }, items }));
    response.setHeader('content-type', 'application/json');
    if (searchParams.get('watch') === 'true') {
      response.flushHeaders();
      if (pathname === JOBS) jobsWatched.resolve(response);
    } else if (pathname === JOBS) list([job]);
    else if (pathname === '/api/v1/nodes' || pathname === '/api/v1/pods') list([]);
    else if (request.method === 'PATCH' && pathname.endsWith('/trainingjobs/job/status'))
      void json(request).then((body) => response.end(JSON.stringify({ ...job, status: Object(body).status })));
    else if (request.method === 'DELETE') response.writeHead(403).end('{"message":"the role is missing"}');
    else response.writeHead(404).end('{}');
  });
  const told: unknown[] = [];
  const controller = await startController(
    await listenAsApiServer(server),
    loaded.config,
    ({ what, ...line }) => void (what === 'apply' && told.push(line)),
  );
  endAfter(t, controller, server);
  const counted = async (count: number): Promise<void> => {
    const line = `soapstone_apply_failures_total{reason="CreationForbidden"} ${count}`;
    while (!(await controller.metrics.registry.metrics()).split('\n').includes(line)) await sleep(10);
  };
  await counted(1);
  (await jobsWatched.promise).write(`${JSON.stringify({ type: 'MODIFIED', object: changed })}\n`);
  await counted(2);
  const error = 'an object of the job could not be created: the API server answered 403: the role is missing';
  t.deepEqual(told, [{ level: 'error', job: 'default/job', error }]);
});

test('pods that a queue holds are let go, though their job is gone', async (t) => {
  const loaded = loadConfig({}, ['--progress-seconds=0']);
  if ('help' in loaded) return t.fail();
  const labels = { 'soapstone.dev/job': 'gone', 'kueue.x-k8s.io/pod-group-name': 'gone-0' };
  const deleted = { deletionTimestamp: '2026-11-24T12:00:00Z', deletionGracePeriodSeconds: 0 };
  const metadata = {
    name: 'gone-0-0',
    namespace: 'default',
    labels,
    ...deleted,
    finalizers: ['kueue.x-k8s.io/managed'],
  };
  const released = Promise.withResolvers<string>();
  const server = createServer(({ method, url }, response) => {
    const { pathname, searchParams } = new URL(url ?? '', 'http://fake');
    const list = (items: readonly object[]): void =>
      void response.end(JSON.stringify({ kind: 'List', metadata: { resourceVersion: '7' }, items }));
    response.setHeader('content-type', 'application/json');
    if (method === 'DELETE') released.resolve(pathname);
    if (searchParams.get('watch') === 'true') response.flushHeaders();
    else if (pathname === JOBS || pathname === '/api/v1/nodes') list([]);
    else if (pathname === '/api/v1/pods') list([{ metadata, spec: { containers: [] }, status: { phase: 'Pending' } }]);
    else response.writeHead(404).end('{}');
  });
  const controller = await startController(await listenAsApiServer(server), loaded.config, () => undefined);
  endAfter(t, controller, server);
  t.is(await released.promise, '/apis/kueue.x-k8s.io/v1beta1/namespaces/default/workloads/gone-0');
});
