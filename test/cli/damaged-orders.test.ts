import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { CoreV1Api, CustomObjectsApi } from '@kubernetes/client-node';
import test from 'ava';
import { readStoredPlan } from '../../cli/kubectl/job-objects.ts';
import { inspectStorage } from '../../runtime/inspect/inspect.ts';
import { measureForController } from '../../runtime/profile/profile-order.ts';
import { runPod } from '../../runtime/worker/pod.ts';
import { listenAsApiServer } from '../support/fake-server.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const nothing = (): void => undefined;

for (const [title, run, variable] of [
  ['a model', inspectStorage, 'SOAPSTONE_INSPECT'],
  ['costs', (env: NodeJS.ProcessEnv) => measureForController(env, nothing, nothing), 'SOAPSTONE_MEASURE'],
] as const) {
  test(`an order to look for ${title} that is no JSON: a sentence with its cure`, async (t) => {
    await t.throwsAsync(run({ SOAPSTONE_STORAGE: '/nowhere', [variable]: '{"batch":' }, nothing), {
      message: new RegExp(`^${variable} is not JSON: .*; expected the order that the controller gives its pods$`),
    });
  });
}

test("a pod's job that is no JSON, or is not there: a sentence with its cure", async (t) => {
  const folder = await temporaryFolder(t);
  const job = join(folder, 'job.json');
  const names = ['JOB', 'PLAN', 'PEERS', 'TOKEN_FILE', 'STORAGE', 'NODE', 'ATTEMPT', 'HOST'];
  const env = Object.fromEntries(names.map((name) => [`SOAPSTONE_${name}`, job]));
  const never = { stop: new AbortController().signal, signal: new AbortController().signal };
  await t.throwsAsync(runPod(env, never, nothing), {
    message: /^SOAPSTONE_JOB is '.*job\.json': there is no such file; expected the file with the TrainingJob, /,
  });
  await writeFile(job, '{\n"spec":\n');
  await t.throwsAsync(runPod(env, never, nothing), {
    message:
      /^\/.*job\.json is not JSON: .*; the controller writes the file with the TrainingJob: delete this pod, and another is made$/,
  });
});

test('a ConfigMap of a plan whose job is no JSON is named to whoever asks for the plan', async (t) => {
  const server = createServer((_, response) => {
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ kind: 'ConfigMap', apiVersion: 'v1', data: { 'plan.json': '{}', 'job.json': '{' } }));
  });
  const config = await listenAsApiServer(server);
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  const [core, custom] = [config.makeApiClient(CoreV1Api), config.makeApiClient(CustomObjectsApi)];
  await t.throwsAsync(readStoredPlan({ config, core, custom, namespace: 'team' }, 'mnist'), {
    message: /^job\.json in ConfigMap team\/mnist-plan is not JSON: .*; somebody changed it: delete a pod of the job/,
  });
});
