import type {
  ApiConstructor,
  ApiType,
  DispatcherOptions,
  RequestContext,
  ResponseContext,
} from '@kubernetes/client-node';
import {
  createConfiguration,
  HttpMethod,
  IsomorphicFetchHttpLibrary,
  KubeConfig,
  ServerConfiguration,
  wrapHttpLibrary,
} from '@kubernetes/client-node';
import { SOAPSTONE_VERSION } from '../../soap/version.ts';

/** A request that the server does not answer would hold its visit for ever; the client library sets no limit. */
const REQUEST_TIMEOUT_MS = 15_000;

/** The status of a request that got no answer, as client-go counts it. */
const NO_ANSWER = '<error>';

/** Hears of requests that are no watches. */
export interface RequestObserver {
  /** Told of each request's method. */
  onRequest?(method: string): void;
  /** Told how each ended: by the HTTP status, or `<error>` where no answer came. */
  onAnswer?(method: string, code: string): void;
}

/**
 * Connections are opened anew so often, so that certificates which were replaced are taken up, and that none which is dead without
 * a sign is used for long. Source of the time: client-go asks a silent connection for a sign of life after 30 s.
 */
const KEEP_CONNECTIONS_MS = 30_000;

type Dispatcher = NonNullable<ReturnType<RequestContext['getDispatcher']>>;

/**
 * A kubeconfig whose clients ask before every write, after their credentials are ready and right before it is sent, and end
 * every request that takes too long.
 */
class GuardedConfig extends KubeConfig {
  readonly #mayWrite: () => boolean;
  readonly #timeoutMs: number;
  readonly #observer: RequestObserver;
  readonly #library = new IsomorphicFetchHttpLibrary();
  #connections: Dispatcher | undefined;
  #connectedMs = Number.NEGATIVE_INFINITY;

  constructor(mayWrite: () => boolean, timeoutMs: number, observer: RequestObserver) {
    super();
    this.#mayWrite = mayWrite;
    this.#timeoutMs = timeoutMs;
    this.#observer = observer;
  }

  override async applySecurityAuthentication(context: RequestContext): Promise<void> {
    await super.applySecurityAuthentication(context);
    this.#keepConnections(context);
    const method = context.getHttpMethod();
    if (method !== HttpMethod.GET && !this.#mayWrite())
      throw new Error('this controller does not lead any more; nothing was written, whoever leads now will do it');
    this.#observer.onRequest?.(method);
    context.setSignal(AbortSignal.timeout(this.#timeoutMs));
  }

  /** The client library makes new connections, TLS and all, for every single request; here only when those kept are old. */
  override createDispatcherOptions(...of: Parameters<KubeConfig['createDispatcherOptions']>): DispatcherOptions {
    if (performance.now() - this.#connectedMs < KEEP_CONNECTIONS_MS) return { type: 'none' };
    this.#connectedMs = performance.now();
    return super.createDispatcherOptions(...of);
  }

  #keepConnections(context: RequestContext): void {
    const made = context.getDispatcher();
    if (made !== undefined) {
      const before = this.#connections;
      this.#connections = made;
      // By then no request uses them any more.
      if (before !== undefined) setTimeout(() => void before.destroy(), 2 * this.#timeoutMs).unref();
    }
    if (this.#connections !== undefined) context.setDispatcher(this.#connections);
  }

  override makeApiClient<T extends ApiType>(apiClientType: ApiConstructor<T>): T {
    const cluster = this.getCurrentCluster();
    if (cluster === null) throw new Error('the kubeconfig has no current cluster; expected one, set current-context');
    return new apiClientType(
      createConfiguration({
        baseServer: new ServerConfiguration(cluster.server, {}),
        authMethods: { default: this },
        httpApi: wrapHttpLibrary({ send: (request) => this.#send(request) }),
      }),
    );
  }

  async #send(request: RequestContext): Promise<ResponseContext> {
    const method = request.getHttpMethod();
    request.setHeaderParam('User-Agent', `soapstone/${SOAPSTONE_VERSION}`);
    try {
      const response = await this.#library.send(request).toPromise();
      this.#observer.onAnswer?.(method, String(response.httpStatusCode));
      return response;
    } catch (error) {
      this.#observer.onAnswer?.(method, NO_ANSWER);
      throw error;
    }
  }
}

/** @param mayWrite asked before each request that is no GET */
export function guardedConfig(
  config: KubeConfig,
  mayWrite: () => boolean,
  observer: RequestObserver = {},
  timeoutMs: number = REQUEST_TIMEOUT_MS,
): KubeConfig {
  const guarded = new GuardedConfig(mayWrite, timeoutMs, observer);
  const { clusters, users, contexts, currentContext } = config;
  guarded.loadFromOptions({ clusters, users, contexts, currentContext });
  return guarded;
}
