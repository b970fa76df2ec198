import { ApiException, CoreV1Api, CustomObjectsApi, KubeConfig } from '@kubernetes/client-node';
import { GROUP, PLURAL, VERSION } from '../../operator/api/crd.ts';
import type { Arguments } from '../command-line/arguments.ts';
import { text } from '../command-line/arguments.ts';
import { UsageError } from '../command-line/usage-error.ts';
import { messageOf } from '../../soap/message-of.ts';

/** Options that say which cluster and namespace, as kubectl's own. */
export const ACCESS_OPTIONS = {
  namespace: { type: 'string', short: 'n' },
  context: { type: 'string' },
  kubeconfig: { type: 'string' },
} as const;

/** Their help. */
export const ACCESS_HELP = `  -n, --namespace N   default the namespace of the context
  --context NAME      a context of the kubeconfig, default the current one
  --kubeconfig FILE   default $KUBECONFIG, else ~/.kube/config
`;

/** A cluster as the user's kubeconfig opens it. */
export interface Access {
  readonly config: KubeConfig;
  readonly core: CoreV1Api;
  readonly custom: CustomObjectsApi;
  readonly namespace: string;
}

/**
 * Opens the cluster that a command line means; nothing is asked of it yet.
 * @throws {UsageError} where there is no such kubeconfig or context
 */
export function openCluster(args: Arguments): Access {
  const config = new KubeConfig();
  const [file, context] = [text(args, 'kubeconfig'), text(args, 'context')];
  try {
    if (file === undefined) config.loadFromDefault();
    else config.loadFromFile(file);
  } catch (error) {
    const reason = messageOf(error);
    throw new UsageError(`cannot read the kubeconfig: ${reason}; see $KUBECONFIG, or pass --kubeconfig FILE`, {
      cause: error,
    });
  }
  if (context !== undefined) selectContext(config, context);
  const namespace = text(args, 'namespace') ?? config.getContextObject(config.getCurrentContext())?.namespace;
  return {
    config,
    core: config.makeApiClient(CoreV1Api),
    custom: config.makeApiClient(CustomObjectsApi),
    namespace: namespace ?? 'default',
  };
}

function selectContext(config: KubeConfig, context: string): void {
  const names = config.getContexts().map(({ name }) => name);
  if (!names.includes(context)) {
    throw new UsageError(`the kubeconfig has no context '${context}'; expected ${names.join(', ') || 'one at all'}`);
  }
  config.setCurrentContext(context);
}

/** Coordinates of the resource in calls of `CustomObjectsApi`. */
export const TRAINING_JOBS: { readonly group: string; readonly version: string; readonly plural: string } = {
  group: GROUP,
  version: VERSION,
  plural: PLURAL,
};

/** What the API server's refusals mean, and what to do about them. */
const REFUSALS: Readonly<Record<number, string>> = {
  401: 'it does not know the user of the kubeconfig: log in again',
  403: 'the user may not do this: ask for the rights in docs/how-to/kubectl.md',
  404: 'there is none: see kubectl get tj -A for the jobs, and whether Soapstone is installed',
};

/**
 * Asks the API server, and says what failed in a sentence.
 * @param what is asked for, such as `TrainingJob default/mnist`
 * @throws {Error} of which status 404 is told by {@link isMissing}
 */
export async function ask<T>(what: string, request: () => Promise<T>): Promise<T> {
  try {
    return await request();
  } catch (error) {
    throw new Error(`cannot get ${what}: ${refusal(error)}`, { cause: error });
  }
}

/** Whether {@link ask} failed because there is no such object. */
export function isMissing(error: unknown): boolean {
  return error instanceof Error && error.cause instanceof ApiException && error.cause.code === 404;
}

function refusal(error: unknown): string {
  if (error instanceof ApiException)
    return REFUSALS[error.code] ?? `the API server answered ${error.code}: ${said(error)}`;
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause.message : '';
  const reason = cause || messageOf(error);
  return `the API server cannot be reached (${reason}); see that the kubeconfig is for a cluster that runs`;
}

/** The message of the API server's own status object, where there is one. */
function said({ body, message }: ApiException<unknown>): string {
  try {
    const status: unknown = typeof body === 'string' ? JSON.parse(body) : body;
    if (typeof status === 'object' && status !== null && 'message' in status) return String(status.message);
  } catch {
    // The body is not the API server's own: a proxy's page.
  }
  return message.split('\n')[0] ?? '';
}
