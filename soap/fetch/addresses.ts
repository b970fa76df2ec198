import { BlockList, isIPv6 } from 'node:net';

/** Networks as `address/prefix`. */
type Networks = readonly string[];

/**
 * Where nothing may ever be fetched from: this host's own networks, link-local ones (clouds serve credentials at
 * 169.254.169.254 and fd00:ec2::254), groups, and what has no use yet.
 * Sources: IANA IPv4 and IPv6 Special-Purpose Address Registries; AWS EC2 user guide, "Instance metadata".
 */
const NEVER: Networks = [
  '0.0.0.0/8',
  '169.254.0.0/16',
  '192.0.0.0/24',
  '192.0.2.0/24',
  '192.88.99.0/24',
  '198.51.100.0/24',
  '203.0.113.0/24',
  '224.0.0.0/4',
  '240.0.0.0/4',
  '::/128',
  '100::/64',
  '2001:db8::/32',
  'fd00:ec2::/32',
  'fe80::/10',
  'fec0::/10',
  'ff00::/8',
];

/**
 * Networks of a company or a cluster, and this host itself. Sources: RFC 1918, RFC 6598 (carriers; some clusters' pods), RFC 2544,
 * RFC 4193; loopback.
 */
export const PRIVATE_NETWORKS: Networks = [
  '10.0.0.0/8',
  '100.64.0.0/10',
  '127.0.0.0/8',
  '172.16.0.0/12',
  '192.168.0.0/16',
  '198.18.0.0/15',
  '::1/128',
  'fc00::/7',
];

/** Addresses that stand for IPv4 ones behind a translator or tunnel. Sources: RFC 6052, RFC 8215, RFC 3056, RFC 4380. */
const EMBEDDING: Networks = ['64:ff9b::/96', '64:ff9b:1::/48', '2002::/16', '2001::/32', '::/96'];

/** Networks that no policy opens, for those who must write them down elsewhere. */
export const FORBIDDEN_NETWORKS: Networks = [...NEVER, ...EMBEDDING];

const never = blockList(NEVER);
const local = blockList(PRIVATE_NETWORKS);
const embedding = blockList(EMBEDDING);

/**
 * Why nothing may be fetched from an address, as the end of a sentence; undefined where it may. An IPv4 address that is written as
 * an IPv6 one (::ffff:10.0.0.1) is judged as what it is.
 * @param privateAllowed whether networks of a company or a cluster are meant
 */
export function addressRefusal(address: string, privateAllowed: boolean): string | undefined {
  const family = isIPv6(address) ? 'ipv6' : 'ipv4';
  if (never.check(address, family)) return 'which is link-local, reserved, or no single host';
  if (local.check(address, family)) return privateAllowed ? undefined : 'which is private';
  if (family === 'ipv6' && embedding.check(address, family)) return 'which stands for another address';
  return undefined;
}

function blockList(networks: Networks): BlockList {
  const list = new BlockList();
  for (const network of networks) {
    const [address = '', prefix] = network.split('/');
    list.addSubnet(address, Number(prefix), isIPv6(address) ? 'ipv6' : 'ipv4');
  }
  return list;
}
