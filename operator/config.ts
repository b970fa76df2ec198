import convict from 'convict';

/** The controller's settings, read once at its start. */
export interface ControllerConfig {
  readonly image: string;
  readonly metricsHost: string;
  readonly metricsPort: number;
  readonly concurrentSearches: number;
  readonly hostPathModels: boolean;
  readonly placementSeconds: number;
  readonly scraperNamespace: string;
}

const schema = {
  image: {
    doc: 'Image of the runtime pods.',
    format: String,
    default: 'soapstone:0.1.0',
    env: 'SOAPSTONE_IMAGE',
  },
  metricsHost: {
    doc: 'Address of the metrics endpoint.',
    format: String,
    default: '0.0.0.0',
    env: 'SOAPSTONE_METRICS_HOST',
  },
  metricsPort: { doc: 'Port of /metrics and /healthz.', format: 'port', default: 8080, env: 'SOAPSTONE_METRICS_PORT' },
  concurrentSearches: { doc: 'Searches at once.', format: 'nat', default: 2, env: 'SOAPSTONE_CONCURRENT_SEARCHES' },
  hostPathModels: {
    doc: 'Whether jobs may name models in hostPath volumes, which the controller reads on its own node.',
    format: Boolean,
    default: false,
    env: 'SOAPSTONE_HOST_PATH_MODELS',
  },
  placementSeconds: {
    doc: 'All pods of an attempt are placed within this time, or all are given back.',
    format: 'nat',
    default: 300,
    env: 'SOAPSTONE_PLACEMENT_SECONDS',
  },
  scraperNamespace: {
    doc: 'Namespace whose pods may read the metrics of runtime pods.',
    format: String,
    default: 'monitoring',
    env: 'SOAPSTONE_SCRAPER_NAMESPACE',
  },
} as const;

/** Reads the settings from the environment. @throws {Error} with all problems */
export function loadConfig(env: NodeJS.ProcessEnv): ControllerConfig {
  const config = convict<ControllerConfig>(schema, { env, args: [] });
  config.validate({ allowed: 'strict' });
  return config.getProperties();
}
