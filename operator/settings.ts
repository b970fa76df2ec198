import { parseSites } from '../soap/fetch/sites.ts';

/** What the controller itself needs. */
export interface ControllerConfig {
  readonly image: string;
  readonly metricsHost: string;
  readonly metricsPort: number;
  readonly concurrentSearches: number;
  readonly searchMegabytes: number;
  readonly hostPathModels: boolean;
  readonly inspectPods: boolean;
  readonly profilePods: boolean;
  readonly profileSeconds: number;
  readonly placementSeconds: number;
  /** As `parseSites` reads it. */
  readonly modelSites: string;
  readonly modelPrivateAddresses: boolean;
  readonly modelMegabytes: number;
  readonly modelSeconds: number;
  readonly dnsPorts: readonly number[];
  readonly fixedUser: boolean;
  readonly scraperNamespace: string;
  readonly podNamespace: string;
  readonly podName: string;
  readonly progressSeconds: number;
}

/** What its process needs beside. */
export interface ProcessConfig extends ControllerConfig {
  readonly watchNamespaces: string;
  readonly concurrentVisits: number;
  readonly leaderElection: boolean;
  readonly leaseName: string;
  readonly logLevel: string;
}

/** A setting as convict takes it, with its three ways in. */
interface Setting {
  readonly doc: string;
  readonly format: 'port' | 'nat' | StringConstructor | BooleanConstructor | string[] | ((value: string) => void);
  readonly default: string | number | boolean;
  readonly env: string;
  readonly arg: string;
  /** Whether it is how many seconds a timer waits. */
  readonly isTimer?: true;
}

/** Every setting; docs/reference/configuration.md lists them, and a test holds it to this table. */
export const CONFIG_SCHEMA: Readonly<Record<keyof ProcessConfig, Setting>> = {
  image: {
    doc: 'Image of the runtime pods.',
    format: String,
    default: 'soapstone:0.1.0',
    env: 'SOAPSTONE_IMAGE',
    arg: 'image',
  },
  metricsHost: {
    doc: 'Address of the metrics endpoint; where empty every address, of IPv6 and of IPv4.',
    format: String,
    default: '',
    env: 'SOAPSTONE_METRICS_HOST',
    arg: 'metrics-host',
  },
  metricsPort: {
    doc: 'Port of /metrics, /healthz and /readyz.',
    format: 'port',
    default: 8080,
    env: 'SOAPSTONE_METRICS_PORT',
    arg: 'metrics-port',
  },
  concurrentSearches: {
    doc: 'Searches at once, each in a thread.',
    format: 'nat',
    default: 2,
    env: 'SOAPSTONE_CONCURRENT_SEARCHES',
    arg: 'concurrent-searches',
  },
  searchMegabytes: {
    doc: "Largest heap of a search's thread, in megabytes; one that needs more fails its job alone. 0 for a share of the memory that the process may use: three quarters, divided by concurrentSearches and two.",
    format: 'nat',
    default: 0,
    env: 'SOAPSTONE_SEARCH_MEGABYTES',
    arg: 'search-megabytes',
  },
  hostPathModels: {
    doc: 'Whether jobs may name models in hostPath volumes, which the controller reads on its own node.',
    format: Boolean,
    default: false,
    env: 'SOAPSTONE_HOST_PATH_MODELS',
    arg: 'host-path-models',
  },
  inspectPods: {
    doc: 'Whether a pod of the job reads models and plans from volumes that the controller cannot, and the controller the log of that pod.',
    format: Boolean,
    default: true,
    env: 'SOAPSTONE_INSPECT_PODS',
    arg: 'inspect-pods',
  },
  profilePods: {
    doc: 'Whether a pod measures what a model costs on a type of device before the first search for it, and the controller reads the log of that pod.',
    format: Boolean,
    default: true,
    env: 'SOAPSTONE_PROFILE_PODS',
    arg: 'profile-pods',
  },
  profileSeconds: {
    doc: 'How long such a pod measures; what is left out is interpolated.',
    format: 'nat',
    default: 60,
    env: 'SOAPSTONE_PROFILE_SECONDS',
    arg: 'profile-seconds',
  },
  placementSeconds: {
    doc: 'All pods of an attempt are placed within this time, or all are given back.',
    format: 'nat',
    default: 300,
    env: 'SOAPSTONE_PLACEMENT_SECONDS',
    arg: 'placement-seconds',
    isTimer: true,
  },
  modelSites: {
    doc: 'Where models may be fetched from, with commas between: hosts such as models.example.com, *.example.com, mirror:8443, http://mirror (plain HTTP only where written so), or * for any; nowhere where empty.',
    format: (value: string) => void parseSites(value),
    default: '',
    env: 'SOAPSTONE_MODEL_SITES',
    arg: 'model-sites',
  },
  modelPrivateAddresses: {
    doc: 'Whether those hosts may have private addresses, such as a mirror in the cluster; link-local ones, where clouds keep credentials, are always refused.',
    format: Boolean,
    default: false,
    env: 'SOAPSTONE_MODEL_PRIVATE_ADDRESSES',
    arg: 'model-private-addresses',
  },
  modelMegabytes: {
    doc: 'Largest model that the controller fetches, in megabytes.',
    format: 'nat',
    default: 256,
    env: 'SOAPSTONE_MODEL_MEGABYTES',
    arg: 'model-megabytes',
  },
  modelSeconds: {
    doc: 'Longest time that fetching a model may take.',
    format: 'nat',
    default: 60,
    env: 'SOAPSTONE_MODEL_SECONDS',
    arg: 'model-seconds',
    isTimer: true,
  },
  dnsPorts: {
    doc: 'Ports that pods may reach for DNS, with commas between: those where the servers themselves listen, such as 5353 in OpenShift.',
    format: (value: unknown) => void portsOf(String(value)),
    default: '53',
    env: 'SOAPSTONE_DNS_PORTS',
    arg: 'dns-ports',
  },
  fixedUser: {
    doc: 'Whether pods of jobs have user and group 65532, where spec.template names no others; false where the cluster is to give them some, as OpenShift does.',
    format: Boolean,
    default: true,
    env: 'SOAPSTONE_FIXED_USER',
    arg: 'fixed-user',
  },
  scraperNamespace: {
    doc: 'Namespace whose pods may read the metrics of runtime pods.',
    format: String,
    default: 'monitoring',
    env: 'SOAPSTONE_SCRAPER_NAMESPACE',
    arg: 'scraper-namespace',
  },
  progressSeconds: {
    doc: 'Seconds from one look at the metrics of running jobs to the next; 0 for none.',
    format: 'nat',
    default: 15,
    env: 'SOAPSTONE_PROGRESS_SECONDS',
    arg: 'progress-seconds',
    isTimer: true,
  },
  watchNamespaces: {
    doc: 'Namespaces of the jobs, with commas between; all where empty.',
    format: String,
    default: '',
    env: 'SOAPSTONE_WATCH_NAMESPACES',
    arg: 'watch-namespaces',
  },
  concurrentVisits: {
    doc: 'Jobs that are visited at once.',
    format: 'nat',
    default: 2,
    env: 'SOAPSTONE_CONCURRENT_VISITS',
    arg: 'concurrent-visits',
  },
  leaderElection: {
    doc: 'Whether several controllers agree by a Lease which of them acts.',
    format: Boolean,
    default: true,
    env: 'SOAPSTONE_LEADER_ELECTION',
    arg: 'leader-election',
  },
  leaseName: {
    doc: 'Name of the Lease.',
    format: String,
    default: 'soapstone-controller',
    env: 'SOAPSTONE_LEASE_NAME',
    arg: 'lease-name',
  },
  podNamespace: {
    doc: "The controller's own namespace: of the Lease, and of the pods that may read the metrics of runtime pods.",
    format: String,
    default: 'default',
    env: 'SOAPSTONE_POD_NAMESPACE',
    arg: 'pod-namespace',
  },
  podName: {
    doc: 'Name of this process in the Lease and in events; the host name where empty.',
    format: String,
    default: '',
    env: 'SOAPSTONE_POD_NAME',
    arg: 'pod-name',
  },
  logLevel: {
    doc: 'Least level of log lines: trace, debug, info, warn, error or fatal.',
    format: ['trace', 'debug', 'info', 'warn', 'error', 'fatal'],
    default: 'info',
    env: 'SOAPSTONE_LOG_LEVEL',
    arg: 'log-level',
  },
};

/** The numbers of a list of ports, with commas between. @throws {Error} a sentence, where one is no port */
export function portsOf(text: string): number[] {
  return text.split(',').map((part) => {
    const port = Number(part);
    if (Number.isInteger(port) && port >= 1 && port <= 65_535) return port;
    throw new Error(`'${part}' is no port; expected numbers from 1 to 65535, with commas between`);
  });
}
