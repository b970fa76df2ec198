import { addressRefusal } from '../../soap/fetch/addresses.ts';
import type { FetchPolicy } from '../../soap/fetch/fetch.ts';
import { isOnSite, parseSites } from '../../soap/fetch/sites.ts';

/** Settings of the controller about models that it fetches. */
interface ModelSettings {
  /** Sites, with commas between. */
  readonly modelSites: string;
  readonly modelPrivateAddresses: boolean;
  readonly modelMegabytes: number;
  readonly modelSeconds: number;
}

/**
 * What the controller fetches for jobs. Whoever may write a job chooses the URL, while the controller may reach what they may not:
 * so only sites that whoever installed it has named, and no address inside unless they said so.
 */
export function fetchPolicy(settings: ModelSettings): FetchPolicy {
  const sites = parseSites(settings.modelSites);
  const cure = sites.length === 0 ? 'this controller fetches no models' : 'its site is not one of those that are';
  return {
    urlRefusal: (url) =>
      isOnSite(url, sites) ? undefined : `${cure}; see the setting modelSites, or put the model into storage`,
    addressRefusal: (address) => addressRefusal(address, settings.modelPrivateAddresses),
    maxBytes: 1e6 * settings.modelMegabytes,
    timeoutMs: 1000 * settings.modelSeconds,
  };
}
