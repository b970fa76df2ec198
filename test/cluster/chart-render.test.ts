import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { parse, parseAllDocuments, stringify } from 'yaml';
import { ALERTS, ruleFile } from '../../monitoring/alerts.ts';
import { DASHBOARDS } from '../../monitoring/dashboards/index.ts';
import { generatedFiles } from '../../monitoring/generated.ts';
import { crdManifest } from '../../operator/api/crd.ts';
import { loadConfig } from '../../operator/config.ts';
import { helm } from '../support/cluster/control-plane.ts';

const CHART = new URL('../../charts/soapstone/', import.meta.url).pathname;
const NAMESPACE = 'soapstone-system';

interface Manifest {
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels?: Record<string, string>;
    readonly annotations?: Record<string, string>;
  };
  readonly data?: Readonly<Record<string, string>>;
  readonly rules?: readonly {
    readonly resources: string[];
    readonly verbs: string[];
    readonly resourceNames?: string[];
  }[];
  readonly spec?: { readonly template?: { readonly spec?: unknown } };
}

async function render(...args: string[]): Promise<Manifest[]> {
  const text = await helm('template', 's', CHART, '--namespace', NAMESPACE, ...args);
  return parseAllDocuments(text).flatMap((document): Manifest[] => document.toJS() ?? []);
}

const names = (manifests: readonly Manifest[]): string[] =>
  manifests.map(({ kind, metadata }) => `${kind} ${metadata.namespace ?? ''}/${metadata.name}`).sort();

test.serial("the chart's CRD is the generated one, and helm lint has nothing against the chart", async (t) => {
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
  test.serial(`values ${title}: the objects are those of the snapshot, all with the standard labels`, async (t) => {
    const manifests = await render(...args);
    t.snapshot(names(manifests));
    for (const { kind, metadata } of manifests) t.is(metadata.labels?.['app.kubernetes.io/instance'], 's', kind);
  });
}

test.serial(
  'dashboards come as ConfigMaps that the sidecar of Grafana finds, alerts with the labels that are asked for',
  async (t) => {
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
  },
);

test.serial(
  'the alerts are those of the rule file; where the ServiceMonitor gives the labels for it, the leader that they ask for is that of the release',
  async (t) => {
    const rules = async (...values: string[]): Promise<unknown> =>
      (await render('--set', values.join(','))).find(({ kind }) => kind === 'PrometheusRule')?.spec;
    t.deepEqual(await rules('prometheusRule.enabled=true'), ruleFile());
    const bound = stringify(ruleFile(), { lineWidth: 0 }).replaceAll(
      '{name="soapstone"}',
      `{name="soapstone", namespace="${NAMESPACE}", service="s-metrics"}`,
    );
    t.deepEqual(await rules(...ALL), parse(bound));
    t.true(names(await render(...VALUE_SETS['default']!)).includes(`Service ${NAMESPACE}/s-metrics`));
  },
);

test.serial(
  'replicas are placed on nodes of their own where there are enough, unless the values say otherwise',
  async (t) => {
    const spread = async (...args: string[]): Promise<unknown> =>
      Object((await render(...args)).find(({ kind }) => kind === 'Deployment')?.spec?.template?.spec)
        .topologySpreadConstraints;
    const matchLabels = {
      'app.kubernetes.io/name': 'soapstone',
      'app.kubernetes.io/instance': 's',
      'app.kubernetes.io/component': 'controller',
    };
    const constraint = { maxSkew: 1, topologyKey: 'kubernetes.io/hostname', whenUnsatisfiable: 'ScheduleAnyway' };
    t.deepEqual(await spread(), [{ ...constraint, labelSelector: { matchLabels } }]);
    t.is(await spread('--set', 'spreadOverNodes=false'), undefined);
    t.is(await spread('--set', 'replicas=1'), undefined);
  },
);

test.serial('an alert has the address of its runbook where whoever is paged can read it', async (t) => {
  const page = 'https://git.example.com/soapstone/docs/operations.md';
  const manifests = await render('--set', `prometheusRule.enabled=true,prometheusRule.runbookUrl=${page}`);
  const { groups }: { groups?: { rules: { alert: string; annotations: Record<string, string> }[] }[] } = Object(
    manifests.find(({ kind }) => kind === 'PrometheusRule')?.spec,
  );
  const rules = groups?.flatMap((group) => group.rules) ?? [];
  t.is(rules.length, ALERTS.length);
  for (const { alert, annotations } of rules) {
    t.is(annotations['runbook_url'], `${page}#${alert.toLowerCase()}`);
    t.is(annotations['runbook'], undefined);
  }
});

test.serial('a drain need not wait for a controller that is not ready, where the API can say so', async (t) => {
  const policy = async (version: string): Promise<unknown> => {
    const manifests = await render('--kube-version', version);
    return Object(manifests.find(({ kind }) => kind === 'PodDisruptionBudget')?.spec).unhealthyPodEvictionPolicy;
  };
  t.deepEqual([await policy('1.26.9'), await policy('1.27.0')], [undefined, 'AlwaysAllow']);
});

test.serial('a budget that would block every drain is refused, with what would not', async (t) => {
  const least = async (...values: string[]): Promise<unknown> => {
    const manifests = await render('--set', values.join(','));
    return Object(manifests.find(({ kind }) => kind === 'PodDisruptionBudget')?.spec).minAvailable;
  };
  t.deepEqual([await least('replicas=2'), await least('replicas=1')], [1, undefined]);
  t.is(await least('replicas=3', 'podDisruptionBudget.minAvailable=2'), 2);
  t.is(await least('podDisruptionBudget.minAvailable=50%'), '50%');
  await t.throwsAsync(least('replicas=2', 'podDisruptionBudget.minAvailable=2'), {
    message: /minAvailable is 2 with replicas 2: no node .* could ever be drained; expected at most 1/,
  });
});

test.serial(
  'labels that are asked for come beside those of the chart, never in their place, and none twice',
  async (t) => {
    const name = 'app\\.kubernetes\\.io/name';
    const values = [`podLabels.mesh=in,podLabels.${name}=x`, `commonLabels.team=a,commonLabels.${name}=y`];
    const own = { 'app.kubernetes.io/name': 'soapstone', team: 'a' };
    for (const { kind, metadata, spec } of await render(...values.flatMap((each) => ['--set', each]))) {
      t.like(metadata.labels, own, kind);
      t.is(metadata.labels?.['mesh'], undefined, kind);
      if (kind === 'Deployment') t.like(Object(spec?.template).metadata.labels, { ...own, mesh: 'in' });
    }
  },
);

test.serial('releases of one name in two namespaces share nothing but the CRD', async (t) => {
  const [ours, others] = await Promise.all([
    render('--set', ALL.join(',')),
    render('--namespace', 'elsewhere', '--set', ALL.join(',')),
  ]);
  const taken = new Set(names(ours));
  t.deepEqual(
    names(others).filter((name) => taken.has(name)),
    ['CustomResourceDefinition /trainingjobs.soapstone.dev'],
  );
});

test.serial('values are checked by the schema', async (t) => {
  for (const bad of [
    'replicas=0',
    'image.digest=latest',
    'bogus=1',
    'watchNamespaces={Upper}',
    'watchNamespaces={twice,twice}',
    'fullnameOverride=Upper',
    'config.dnsPorts={dns}',
    'serviceMonitor.interval=soon',
    'prometheusRule.interval=30s',
    'prometheusRule.runbookUrl=docs/operations.md',
  ])
    await t.throwsAsync(render('--set', bad), { message: /values don't meet the specifications/ }, bad);
});

test.serial('another chart can have this one on a condition, under a name of its own', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'soapstone-parent-'));
  t.teardown(() => rm(folder, { recursive: true }));
  const dependency = { name: 'soapstone', version: '0.1.0', condition: 'soapstone.enabled' };
  const chart = { apiVersion: 'v2', name: 'platform', version: '1.0.0', dependencies: [dependency] };
  await writeFile(join(folder, 'Chart.yaml'), stringify(chart));
  await cp(CHART, join(folder, 'charts', 'soapstone'), { recursive: true });
  const rendered = async (...values: string[]): Promise<Manifest[]> => {
    const args = values.flatMap((value) => ['--set', `soapstone.${value}`]);
    const text = await helm('template', 'p', folder, '--namespace', NAMESPACE, ...args);
    return parseAllDocuments(text).flatMap((document): Manifest[] => document.toJS() ?? []);
  };
  t.deepEqual(await rendered('enabled=false'), []);
  const named = names(await rendered('enabled=true', 'fullnameOverride=s'));
  t.deepEqual(named, names(await render()));
  t.true(names(await rendered()).includes(`Deployment ${NAMESPACE}/p`));
});

test.serial('where the cluster gives pods their user, none is named', async (t) => {
  const users = async (...args: string[]): Promise<number> =>
    (await helm('template', 's', CHART, ...args)).match(/runAs(User|Group): 65532/g)?.length ?? 0;
  t.deepEqual([await users(), await users('--set', 'config.fixedUser=false')], [3, 0]);
});

test.serial('an image is named by digest where there is one', async (t) => {
  const digest = `sha256:${'0'.repeat(64)}`;
  const text = await helm('template', 's', CHART, '--set', `image.registry=r.io,image.digest=${digest}`);
  t.true(text.includes(`image: "r.io/soapstone@${digest}"`));
});

test.serial(
  'no mode may read or delete secrets; the namespaced one may do nothing beyond its namespaces but read nodes',
  async (t) => {
    for (const args of Object.values(VALUE_SETS)) {
      for (const { rules = [] } of await render(...args))
        for (const { resources, verbs } of rules) if (resources.includes('secrets')) t.deepEqual(verbs, ['create']);
    }
    const cluster = (await render(...VALUE_SETS['namespaced']!)).filter(
      ({ kind, metadata }) => kind === 'ClusterRole' && !metadata.name.includes('-trainingjobs-'),
    );
    for (const { resources, verbs, resourceNames } of cluster.flatMap(({ rules = [] }) => rules)) {
      if (resources.includes('namespaces')) t.deepEqual([verbs, resourceNames], [['get'], ['team-a', 'team-b']]);
      else t.deepEqual(verbs, ['get', 'list', 'watch']);
    }
  },
);

test.serial(
  'the controller may delete Workloads of a queue only where jobs wait in queues, and nothing else of them',
  async (t) => {
    const workloadRules = async (...args: string[]): Promise<string[][]> =>
      (await render(...args)).flatMap(({ rules = [] }) =>
        rules.filter(({ resources }) => resources.includes('workloads')).map(({ verbs }) => verbs),
      );
    t.deepEqual(await workloadRules(), []);
    t.deepEqual(await workloadRules('--set', 'rbac.queues=true'), [['delete']]);
    t.deepEqual(await workloadRules(...VALUE_SETS['namespaced']!, '--set', 'rbac.queues=true'), [
      ['delete'],
      ['delete'],
    ]);
  },
);

test.serial(
  'the controller may read logs only where pods read models or measure for it, and nothing else of a pod beside',
  async (t) => {
    const logRules = async (...args: string[]): Promise<string[][]> =>
      (await render(...args)).flatMap(({ rules = [] }) =>
        rules.filter(({ resources }) => resources.includes('pods/log')).map(({ verbs }) => verbs),
      );
    t.deepEqual(await logRules(), [['get']]);
    t.deepEqual(await logRules(...VALUE_SETS['namespaced']!), [['get'], ['get']]);
    const neither = 'config.inspectPods=false,config.profilePods=false';
    t.deepEqual(await logRules('--set', 'config.inspectPods=false'), [['get']]);
    t.deepEqual(await logRules('--set', neither), []);
    for (const { rules = [] } of await render())
      for (const { resources } of rules)
        t.false(resources.some((name) => /^(pods\/(exec|attach)|roles|\*)$/.test(name)));
  },
);

test.serial('settings of the chart reach the controller by the names that it knows', async (t) => {
  const values = [
    'config.modelSites={models.example.com,http://mirror:8080}',
    'config.modelPrivateAddresses=true,config.modelMegabytes=7,config.modelSeconds=8,config.inspectPods=false',
    'config.profilePods=false,config.profileSeconds=9,config.dnsPorts={53,8053},config.fixedUser=false',
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
    profilePods: false,
    profileSeconds: 9,
    dnsPorts: [53, 8053],
    fixedUser: false,
  });
});
