import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CoreV1Api, KubeConfig } from '@kubernetes/client-node';
import test from 'ava';
import { parse, stringify } from 'yaml';
import type { Controller } from '../../operator/controller.ts';
import { startController } from '../../operator/controller.ts';
import { childNames } from '../../operator/decide/children.ts';
import { helm } from '../support/cluster/control-plane.ts';
import type { World } from '../support/cluster/world.ts';
import { defaultConfig, startWorld } from '../support/cluster/world.ts';

const CHART = new URL('../../charts/soapstone/', import.meta.url).pathname;
const NAMESPACE = 'soapstone-system';

let world: World;
/** Whether running pods may end. */
let finish = false;

test.before(async () => {
  world = await startWorld(() => (finish ? { phase: 'Succeeded' } : undefined));
  await world.plane.kubectl('delete', 'crd', 'trainingjobs.soapstone.dev');
  await world.plane.kubectl('create', 'namespace', NAMESPACE);
});
test.after.always(() => world?.stop());

/** The controller with the rights of the chart's service account, and no others. */
async function startAsServiceAccount(): Promise<Controller> {
  const { plane, logs } = world;
  const token = (await plane.kubectl('create', 'token', 's', '-n', NAMESPACE)).trim();
  const config = new KubeConfig();
  const cluster = plane.kubeConfig.getCurrentCluster();
  if (cluster === null) throw new Error('the harness gives no cluster');
  config.loadFromClusterAndUser(cluster, { name: 's', token });
  return startController(config, defaultConfig(), (line) => logs.push(JSON.stringify(line)));
}

const install = (chart: string, ...args: string[]): Promise<string> =>
  helm(
    'upgrade',
    '--install',
    's',
    chart,
    '--namespace',
    NAMESPACE,
    '--kubeconfig',
    world.plane.kubeconfigPath,
    ...args,
  );

/** The chart before: another version, whose resource lacks the newest status fields and columns. */
async function previousChart(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'soapstone-chart-'));
  await cp(CHART, folder, { recursive: true });
  const meta: Record<string, unknown> = parse(await readFile(join(folder, 'Chart.yaml'), 'utf8'));
  await writeFile(join(folder, 'Chart.yaml'), stringify({ ...meta, version: '0.0.9' }));
  const crd = (await readFile(join(folder, 'files', 'trainingjobs.yaml'), 'utf8'))
    .replace(/ +- name: Reason\n.*\n.*\n/, '')
    .replace(/ +reason:\n +type: string\n/, '');
  await writeFile(join(folder, 'files', 'trainingjobs.yaml'), crd);
  return folder;
}

test.serial(
  'installed by helm, the controller does its work with the rights of the chart; an upgrade loses no running job; an uninstall neither',
  async (t) => {
    const { plane } = world;
    const before = await previousChart();
    await install(before);
    await rm(before, { recursive: true });
    await plane.kubectl('wait', '--for=condition=Established', 'crd/trainingjobs.soapstone.dev', '--timeout=30s');
    await world.createNode('gpu-a');
    const controller = await startAsServiceAccount();
    try {
      await world.apply('job');
      await world.until('Running', async () => (await world.read('job')).status?.state === 'Running');
      const [pod] = await world.pods();
      const { uid } = (await world.read('job')).metadata;

      t.regex(
        await install(CHART),
        /\n\nIts pods and those of jobs have the image soapstone:0\.1\.0\.\nNodes must have that image, .*\n\n {2}kubectl get tj -A/,
      );
      t.regex(await helm('list', '-n', NAMESPACE, '--kubeconfig', plane.kubeconfigPath), /soapstone-0\.1\.0/);
      const after = await world.read('job');
      t.deepEqual([after.metadata.uid, after.status?.state], [uid, 'Running']);
      t.is((await world.pods())[0]?.metadata?.uid, pod?.metadata?.uid);
      finish = true;
      await world.until('Complete', async () => (await world.read('job')).status?.state === 'Complete');

      const generation = async (): Promise<string> =>
        plane.kubectl('get', 'deployment', 's', '-n', NAMESPACE, '-o', 'jsonpath={.metadata.generation}');
      const first = await generation();
      await install(CHART);
      t.is(await generation(), first, 'the same values again change nothing');
      await helm('uninstall', 's', '--namespace', NAMESPACE, '--kubeconfig', plane.kubeconfigPath);
      t.is((await world.read('job')).metadata.uid, uid, 'the CRD and its jobs are kept');
      t.is(await plane.kubectl('get', 'all', '-n', NAMESPACE, '-o', 'name'), '');
    } finally {
      await controller.stop();
    }
  },
);

test.serial(
  'a user of another namespace can neither read nor steer a job, nor its token; the controller cannot read the token either',
  async (t) => {
    const { plane } = world;
    await install(CHART);
    await plane.kubectl('create', 'namespace', 'other');
    await plane.kubectl('create', 'rolebinding', 'eve', '--clusterrole=admin', '--user=eve', '-n', 'other');
    await plane.kubectl('create', 'rolebinding', 'bob', '--clusterrole=edit', '--user=bob', '-n', 'default');
    const may = async (who: string, verb: string, what: string, namespace: string): Promise<boolean> => {
      const [resource = '', subresource = ''] = what.split('/');
      const args = ['auth', 'can-i', verb, resource, `--subresource=${subresource}`, '-n', namespace, `--as=${who}`];
      return (await plane.kubectl(...args).catch(() => 'no')).trim() === 'yes';
    };
    // Roles are aggregated by a controller that is not here, so the chart's roles are bound as they are.
    await plane.kubectl(
      'create',
      'rolebinding',
      'eve-jobs',
      `--clusterrole=s-trainingjobs-edit.${NAMESPACE}`,
      '--user=eve',
      '-n',
      'other',
    );
    t.true(await may('eve', 'create', 'trainingjobs.soapstone.dev', 'other'));
    for (const [verb, what] of [
      ['get', 'trainingjobs.soapstone.dev'],
      ['patch', 'trainingjobs.soapstone.dev'],
      ['patch', 'trainingjobs.soapstone.dev/status'],
      ['get', 'secrets'],
      ['get', 'pods'],
      ['create', 'pods/exec'],
      ['patch', 'configmaps'],
    ] as const)
      t.false(await may('eve', verb, what, 'default'), `${verb} ${what}`);
    const account = `system:serviceaccount:${NAMESPACE}:s`;
    t.true(await may(account, 'create', 'secrets', 'default'));
    for (const verb of ['get', 'list', 'watch', 'patch', 'delete'])
      t.false(await may(account, verb, 'secrets', 'default'), verb);
    t.false(await may(account, 'create', 'pods/exec', 'default'));

    finish = false;
    await world.apply('private');
    const controller = await startAsServiceAccount();
    await world.until('Running', async () => (await world.read('private')).status?.state === 'Running');
    await controller.stop();
    const policy = JSON.parse(await plane.kubectl('get', 'networkpolicy', 'private', '-o', 'json'));
    t.deepEqual(policy.spec.ingress, [
      { from: [{ podSelector: { matchLabels: { 'soapstone.dev/job': 'private' } } }] },
      {
        from: [
          { namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'monitoring' } } },
          {
            namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'default' } },
            podSelector: {
              matchLabels: { 'app.kubernetes.io/name': 'soapstone', 'app.kubernetes.io/component': 'controller' },
            },
          },
        ],
        ports: [{ port: 9400, protocol: 'TCP' }],
      },
    ]);
    const core = plane.kubeConfig.makeApiClient(CoreV1Api);
    const { items } = await core.listNamespacedSecret({ namespace: 'default' });
    t.deepEqual(
      items
        .filter(({ metadata }) => metadata?.labels?.['soapstone.dev/job'] === 'private')
        .map(({ metadata }) => metadata?.name),
      [childNames.token('private', 0, (await world.read('private')).metadata.uid ?? '')],
    );
  },
);
