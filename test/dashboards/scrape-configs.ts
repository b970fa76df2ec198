import type { KubeConfig } from '@kubernetes/client-node';

/** The parts of a PodMonitor, or of its like, that say what is scraped. */
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

/**
 * What the Prometheus operator makes of a PodMonitor whose selector asks for labels to exist, against a given API server.
 * Source: prometheus-operator, pkg/prometheus/promcfg.go, generatePodMonitorConfig.
 */
export function podScrapes({ spec }: PodMonitor, config: KubeConfig): object[] {
  const user = config.getCurrentUser();
  const server = config.getCurrentCluster()?.server ?? '';
  const kept = spec.selector.matchExpressions.map(({ key }) => ({
    action: 'keep',
    source_labels: [`__meta_kubernetes_pod_labelpresent_${key.replaceAll(/[^a-zA-Z0-9_]/g, '_')}`],
    regex: 'true',
  }));
  return spec.podMetricsEndpoints.map(({ port, relabelings = [] }) => ({
    job_name: `podMonitor/${port}`,
    kubernetes_sd_configs: [
      {
        role: 'pod',
        api_server: server,
        authorization: { credentials: user?.token ?? '' },
        tls_config: { insecure_skip_verify: true },
      },
    ],
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
