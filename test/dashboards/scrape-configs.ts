import type { Server } from 'node:http';
import { createServer } from 'node:http';
import type { V1Pod } from '@kubernetes/client-node';

/** The parts of a PodMonitor that say what is scraped. */
export interface PodMonitor {
  readonly spec: {
    readonly selector: { readonly matchExpressions: readonly { readonly key: string; readonly operator: string }[] };
    readonly podMetricsEndpoints: readonly {
      readonly port: string;
      readonly relabelings?: readonly {
        readonly sourceLabels: readonly string[];
        readonly targetLabel: string;
      }[];
    }[];
  };
}

/** The parts of a ServiceMonitor that its one target depends on. */
export interface ServiceMonitor {
  readonly spec: { readonly endpoints: readonly { readonly honorLabels?: boolean }[] };
}

/** A running discovery of pods. */
export interface PodDiscovery {
  readonly url: string;
  stop(): Promise<void>;
}

/**
 * Tells Prometheus over HTTP what its discovery of Kubernetes would, which Debian leaves out of the package: a target for each port
 * of each pod that has an address, with the labels that relabeling reads. Source: Prometheus' documentation, "http_sd_config" and the
 * role "pod" of "kubernetes_sd_config".
 */
export async function servePods(list: () => Promise<readonly V1Pod[]>): Promise<PodDiscovery> {
  const server: Server = createServer((_, response) => {
    response.setHeader('content-type', 'application/json');
    list().then(
      (pods) => response.end(JSON.stringify(pods.flatMap(targetsOf))),
      () => response.writeHead(500).end(),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  return {
    url: `http://127.0.0.1:${port}/`,
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function targetsOf({ metadata, spec, status }: V1Pod): object[] {
  const { podIP, phase = '' } = status ?? {};
  if (podIP === undefined) return [];
  const labels = Object.entries(metadata?.labels ?? {}).flatMap(([name, value]) => [
    [`__meta_kubernetes_pod_label_${sanitized(name)}`, value],
    [`__meta_kubernetes_pod_labelpresent_${sanitized(name)}`, 'true'],
  ]);
  return (spec?.containers ?? []).flatMap(({ ports = [] }) =>
    ports.map(({ name = '', containerPort }) => ({
      targets: [`${podIP}:${containerPort}`],
      labels: {
        ...Object.fromEntries(labels),
        __meta_kubernetes_namespace: metadata?.namespace ?? '',
        __meta_kubernetes_pod_name: metadata?.name ?? '',
        __meta_kubernetes_pod_phase: phase,
        __meta_kubernetes_pod_container_port_name: name,
      },
    })),
  );
}

/** A label's name as Prometheus has it. */
function sanitized(name: string): string {
  return name.replaceAll(/[^a-zA-Z0-9_]/g, '_');
}

/**
 * What the Prometheus operator makes of a PodMonitor whose selector asks for labels to exist.
 * Source: prometheus-operator, pkg/prometheus/promcfg.go, generatePodMonitorConfig.
 * @param discovery address of {@link servePods}
 */
export function podScrapes({ spec }: PodMonitor, discovery: string): object[] {
  const kept = spec.selector.matchExpressions.map(({ key }) => ({
    action: 'keep',
    source_labels: [`__meta_kubernetes_pod_labelpresent_${sanitized(key)}`],
    regex: 'true',
  }));
  return spec.podMetricsEndpoints.map(({ port, relabelings = [] }) => ({
    job_name: `podMonitor/${port}`,
    http_sd_configs: [{ url: discovery, refresh_interval: '1s' }],
    relabel_configs: [
      ...kept,
      { action: 'keep', source_labels: ['__meta_kubernetes_pod_container_port_name'], regex: port },
      { action: 'drop', source_labels: ['__meta_kubernetes_pod_phase'], regex: '(Failed|Succeeded)' },
      { source_labels: ['__meta_kubernetes_namespace'], target_label: 'namespace' },
      { source_labels: ['__meta_kubernetes_pod_name'], target_label: 'pod' },
      ...relabelings.map(({ sourceLabels, targetLabel }) => ({
        source_labels: sourceLabels,
        target_label: targetLabel,
      })),
    ],
  }));
}

/** What it makes of a ServiceMonitor, for one pod behind the service that is no pod here. */
export function serviceScrape({ spec }: ServiceMonitor, target: string, namespace: string): object {
  return {
    job_name: 'serviceMonitor',
    honor_labels: spec.endpoints[0]?.honorLabels ?? false,
    static_configs: [{ targets: [target], labels: { namespace, pod: 'controller-0' } }],
  };
}
