import type { KubeConfig } from '@kubernetes/client-node';

/** A real API server. */
export interface Server {
  readonly kubeConfig: KubeConfig;
  readonly kubeconfigPath: string;
}

/** A line of the table. */
export interface Row {
  readonly case: string;
  readonly result: string;
}

/** Of the first controller's metrics; further ones take the next. */
export const PORT = 18_080;
