import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CoreV1Api, KubeConfig } from '@kubernetes/client-node';
import test from 'ava';
import { parse, parseAllDocuments, stringify } from 'yaml';
import { ruleFile } from '../../monitoring/alerts.ts';
import { DASHBOARDS } from '../../monitoring/dashboards/index.ts';
import { generatedFiles } from '../../monitoring/generated.ts';
import { crdManifest } from '../../operator/api/crd.ts';
import { loadConfig } from '../../operator/config.ts';
import type { Controller } from '../../operator/controller.ts';
import { startController } from '../../operator/controller.ts';
import { helm } from './harness/control-plane.ts';
import type { World } from './harness/world.ts';
import { defaultConfig, startWorld } from './harness/world.ts';

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

interface Manifest {
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels?: Record<string, string>;
    readonly annotations?: Record<string, string>;
  };
  readonly data?: Readonly<Record<string, string>>;
  readonly rules?: readonly { readonly resources: string[]; readonly verbs: string[] }[];
  readonly spec?: { readonly template?: { readonly spec?: unknown } };
}

async function render(...args: string[]): Promise<Manifest[]> {
  const text = await helm('template', 's', CHART, '--namespace', NAMESPACE, ...args);
  return parseAllDocuments(text).flatMap((document): Manifest[] => document.toJS() ?? []);
}

const names = (manifests: readonly Manifest[]): string[] =>
  manifests.map(({ kind, metadata }) => `${kind} ${metadata.namespace ?? ''}/${metadata.name}`).sort();

test("the chart's CRD is the generated one, and helm lint has nothing against the chart", async (t) => {
  t.deepEqual(parse(await readFile(join(CHART, 'files', 'trainingjobs.yaml'), 'utf8')), crdManifest());
  t.regex(await helm('lint', '--strict', CHART), /0 chart\(s\) failed/);
});

const ALL = ['serviceMonitor', 'podMonitor', 'prometheusRule', 'nodeFeatureRule'].map((name) => `${name}.enabled=true`);
const VALUE_SETS: Readonly<Record<string, readonly string[]>> = {
  default: [],
  everything: ['--set', ALL.join(',')],
  namespaced: ['--set', 'watchNamespaces={team-a,team-b}'],
  least: [
    '--set',
    'crds.enabled=false,rbac.create=false,serviceAccount.create=false,networkPolicy.enabled=false,podDisruptionBudget.enabled=false,dashboards.enabled=false',
  ],
};

for (const [title, args] of Object.entries(VALUE_SETS)) {
  test(`values ${title}: the objects are those of the snapshot, all with the standard labels`, async (t) => {
    const manifests = await render(...args);
    t.snapshot(names(manifests));
    for (const { kind, metadata } of manifests) t.is(metadata.labels?.['app.kubernetes.io/instance'], 's', kind);
  });
}

test('dashboards come as ConfigMaps that the sidecar of Grafana finds, alerts with the labels that are asked for', async (t) => {
  const labelled = ['dashboards', 'prometheusRule', 'serviceMonitor', 'podMonitor'].map(
    (name) => `${name}.additionalLabels.x=y`,
  );
  const manifests = await render('--set', [...ALL, ...labelled, 'dashboards.folder=Training'].join(','));
  const dashboards = manifests.filter(({ kind }) => kind === 'ConfigMap');
  t.is(dashboards.length, DASHBOARDS.length);
  const files = generatedFiles();
  for (const { metadata, data = {} } of dashboards) {
    t.like(metadata.labels, { grafana_dashboard: '1', x: 'y' });
    t.deepEqual(metadata.annotations, { grafana_folder: 'Training' });
    for (const [name, text] of Object.entries(data)) t.is(files.get(`dashboards/${name}`), text, name);
  }
  t.is(
    new Set(dashboards.flatMap(({ data = {} }) => Object.keys(data))).size,
    DASHBOARDS.length,
    'they share a folder',
  );
  for (const kind of ['PrometheusRule', 'ServiceMonitor', 'PodMonitor'])
    t.is(manifests.find((manifest) => manifest.kind === kind)?.metadata.labels?.['x'], 'y', kind);
  t.deepEqual(manifests.find(({ kind }) => kind === 'PrometheusRule')?.spec, ruleFile());
});

test('values are checked by the schema', async (t) => {
  for (const bad of [
    'replicas=0',
    'image.digest=latest',
    'bogus=1',
    'watchNamespaces={Upper}',
    'serviceMonitor.interval=soon',
  ])
    await t.throwsAsync(render('--set', bad), { message: /values don't meet the specifications/ }, bad);
});

test('an image is named by digest where there is one', async (t) => {
  const digest = `sha256:${'0'.repeat(64)}`;
  const text = await helm('template', 's', CHART, '--set', `image.registry=r.io,image.digest=${digest}`);
  t.true(text.includes(`image: "r.io/soapstone@${digest}"`));
});

test('no mode may read secrets; the namespaced one may do nothing beyond its namespaces but read nodes', async (t) => {
  for (const args of Object.values(VALUE_SETS)) {
    for (const { rules = [] } of await render(...args))
      for (const { resources, verbs } of rules)
        if (resources.includes('secrets')) t.deepEqual(verbs, ['create', 'delete']);
  }
  const cluster = (await render(...VALUE_SETS['namespaced']!)).filter(
    ({ kind, metadata }) => kind === 'ClusterRole' && !metadata.name.includes('-trainingjobs-'),
  );
  for (const { rules = [] } of cluster) for (const { verbs } of rules) t.deepEqual(verbs, ['get', 'list', 'watch']);
});

test('the controller may read logs only where pods read models for it, and nothing else of a pod beside', async (t) => {
  const logRules = async (...args: string[]): Promise<string[][]> =>
    (await render(...args)).flatMap(({ rules = [] }) =>
      rules.filter(({ resources }) => resources.includes('pods/log')).map(({ verbs }) => verbs),
    );
  t.deepEqual(await logRules(), [['get']]);
  t.deepEqual(await logRules(...VALUE_SETS['namespaced']!), [['get'], ['get']]);
  t.deepEqual(await logRules('--set', 'config.inspectPods=false'), []);
  for (const { rules = [] } of await render())
    for (const { resources } of rules) t.false(resources.some((name) => /^(pods\/(exec|attach)|roles|\*)$/.test(name)));
});

test('settings of the chart reach the controller by the names that it knows', async (t) => {
  const values = [
    'config.modelSites={models.example.com,http://mirror:8080}',
    'config.modelPrivateAddresses=true,config.modelMegabytes=7,config.modelSeconds=8,config.inspectPods=false',
  ];
  const manifests = await render(...values.flatMap((each) => ['--set', each]));
  const deployment = manifests.find(({ kind }) => kind === 'Deployment');
  const { containers = [] }: { containers?: { env: { name: string; value?: string }[] }[] } = Object(
    deployment?.spec?.template?.spec,
  );
  const env = Object.fromEntries((containers[0]?.env ?? []).map(({ name, value }) => [name, value]));
  const loaded = loadConfig(env);
  t.like('config' in loaded ? loaded.config : {}, {
    modelSites: 'models.example.com,http://mirror:8080',
    modelPrivateAddresses: true,
    modelMegabytes: 7,
    modelSeconds: 8,
    inspectPods: false,
  });
});

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

test('installed by helm, the controller does its work with the rights of the chart; an upgrade loses no running job; an uninstall neither', async (t) => {
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

    await install(CHART);
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
});

test('a user of another namespace can neither read nor steer a job, nor its token; the controller cannot read the token either', async (t) => {
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
    '--clusterrole=s-trainingjobs-edit',
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
  for (const verb of ['get', 'list', 'watch', 'patch']) t.false(await may(account, verb, 'secrets', 'default'), verb);
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
      from: [{ namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'monitoring' } } }],
      ports: [{ port: 9400, protocol: 'TCP' }],
    },
  ]);
  const core = plane.kubeConfig.makeApiClient(CoreV1Api);
  const { items } = await core.listNamespacedSecret({ namespace: 'default' });
  t.deepEqual(
    items
      .filter(({ metadata }) => metadata?.labels?.['soapstone.dev/job'] === 'private')
      .map(({ metadata }) => metadata?.name),
    ['private-0-token'],
  );
});
