/** A place that may be fetched from, as a configuration names it. */
export interface Site {
  /** `https:`, or `http:` where it is written so. */
  readonly protocol: string;
  /** A host name; `*.example.com` for all below it; `*` for any. */
  readonly host: string;
  /** As a URL has it: `` for the protocol's own. */
  readonly port: string;
}

const ENTRY = /^(?:(https?):\/\/)?(\*|(?:\*\.)?[a-z0-9_-]+(?:\.[a-z0-9_-]+)*|\[[0-9a-f:.]+\])(?::(\d{1,5}))?$/i;

/**
 * Reads a list of sites, with commas between: `models.example.com`, `*.example.com`, `mirror.local:8443`, `http://mirror.local`, `*`.
 * @throws {Error} naming the entry that is none
 */
export function parseSites(text: string): Site[] {
  const entries = text.split(',').map((entry) => entry.trim());
  return entries.filter((entry) => entry !== '').map(parseSite);
}

function parseSite(entry: string): Site {
  const [, scheme = 'https', host, port = ''] = ENTRY.exec(entry) ?? [];
  if (host === undefined)
    throw new Error(
      `'${entry}' is no site; expected a host such as models.example.com, *.example.com or http://mirror:8080`,
    );
  const protocol = `${scheme.toLowerCase()}:`;
  const isDefault = port === (protocol === 'https:' ? '443' : '80');
  return { protocol, host: host.toLowerCase(), port: isDefault ? '' : port };
}

/** Whether a URL is on one of the sites. */
export function isOnSite({ protocol, hostname, port }: URL, sites: readonly Site[]): boolean {
  return sites.some(
    (site) => site.protocol === protocol && site.port === port && isBelow(hostname.replace(/\.$/, ''), site.host),
  );
}

function isBelow(hostname: string, host: string): boolean {
  if (host === '*') return true;
  return host.startsWith('*.') ? hostname.endsWith(host.slice(1)) && hostname.length >= host.length : hostname === host;
}
