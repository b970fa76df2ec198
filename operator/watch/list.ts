import type { KubeConfig, KubernetesObject } from '@kubernetes/client-node';
import { HttpMethod, IsomorphicFetchHttpLibrary, RequestContext } from '@kubernetes/client-node';

import { ApiStatusError } from './api-error.ts';

/** What `limit` kubectl and client-go ask for a page. */
const PAGE_SIZE = 500;

/** The objects of one kind, and the version from which a watch continues them. */
export interface Listing<T> {
  readonly items: readonly T[];
  readonly resourceVersion: string | undefined;
}

interface Page<T> {
  readonly apiVersion?: string;
  readonly kind?: string;
  readonly items?: readonly T[] | null;
  readonly metadata?: { readonly resourceVersion?: string; readonly continue?: string };
}

/**
 * Lists everything under a path, in pages, so that a large cluster is never one answer. Objects come as the server writes
 * them, times as text, like those of a watch.
 *
 * @param path such as `/api/v1/nodes`
 * @param signal ends a request that the server does not answer; the client library itself would wait for ever
 * @throws {ApiStatusError} when the server refuses
 */
export async function listAll<T extends KubernetesObject>(
  config: KubeConfig,
  path: string,
  signal: AbortSignal,
): Promise<Listing<T>> {
  const items: T[] = [];
  let token: string | undefined;
  for (;;) {
    const page = await readPage<T>(config, path, token, signal);
    // Items of a list carry neither field themselves.
    const { apiVersion, kind = '' } = page;
    const named = { ...(apiVersion === undefined ? {} : { apiVersion }), kind: kind.replace(/List$/, '') };
    for (const item of page.items ?? []) items.push({ ...named, ...item });
    token = page.metadata?.continue;
    if (token === undefined || token === '') return { items, resourceVersion: page.metadata?.resourceVersion };
  }
}

async function readPage<T>(
  config: KubeConfig,
  path: string,
  token: string | undefined,
  signal: AbortSignal,
): Promise<Page<T>> {
  const url = new URL(`${config.getCurrentCluster()?.server ?? ''}${path}`);
  url.searchParams.set('limit', String(PAGE_SIZE));
  if (token !== undefined) url.searchParams.set('continue', token);
  const request = new RequestContext(url.toString(), HttpMethod.GET);
  request.setHeaderParam('Accept', 'application/json');
  request.setSignal(signal);
  await config.applySecurityAuthentication(request);
  const response = await new IsomorphicFetchHttpLibrary().send(request).toPromise();
  const text = await response.body.text();
  if (response.httpStatusCode !== 200)
    throw new ApiStatusError(`listing ${path}`, response.httpStatusCode, response.headers['retry-after']);
  const page: Page<T> = JSON.parse(text);
  return page;
}
