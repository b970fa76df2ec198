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
  /** The numbers in it, with their units in their names. */
  readonly measured: Readonly<Record<string, number>>;
}
