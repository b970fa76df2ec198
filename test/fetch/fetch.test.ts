import { createHash } from 'node:crypto';
import type { RequestListener, Server } from 'node:http';
import { createServer as createPlainServer } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import test from 'ava';
import { issueCertificate } from '../../operator/secrets/certificate.ts';
import { addressRefusal } from '../../soap/fetch/addresses.ts';
import type { FetchPolicy } from '../../soap/fetch/fetch.ts';
import { FetchError, fetchVerified } from '../../soap/fetch/fetch.ts';
import { isOnSite, parseSites } from '../../soap/fetch/sites.ts';

const CONTENT = Buffer.from('a model, or what passes for one');
const SHA256 = createHash('sha256').update(CONTENT).digest('hex');
const random = (bytes: number): Uint8Array => crypto.getRandomValues(new Uint8Array(bytes));

const REFUSED: Readonly<Record<string, readonly string[]>> = {
  'which is private': [
    '10.1.2.3',
    '172.16.0.1',
    '172.31.255.255',
    '192.168.1.1',
    '100.64.0.1',
    '127.0.0.1',
    '127.8.8.8',
    '::1',
    'fd12::1',
    '::ffff:10.0.0.1',
    '::ffff:7f00:1',
  ],
  'link-local, reserved': [
    '169.254.169.254',
    '::ffff:169.254.169.254',
    '0.0.0.0',
    '224.0.0.1',
    '255.255.255.255',
    'fe80::1',
    'ff02::1',
    'fd00:ec2::254',
    '::',
  ],
  'another address': ['64:ff9b::a00:1', '2002:a00:1::', '2001:0:a00:1::', '::a00:1'],
};

test('private, link-local, metadata and embedding addresses are refused, in any spelling; public ones are not', (t) => {
  for (const [reason, addresses] of Object.entries(REFUSED)) {
    for (const address of addresses) {
      t.true(addressRefusal(address, false)?.includes(reason), address);
      const opened = addressRefusal(address, true) === undefined;
      t.is(opened, reason === 'which is private', `${address} where private ones are meant`);
    }
  }
  for (const address of ['8.8.8.8', '172.32.0.1', '193.99.144.80', '2606:4700::1111', '::ffff:8.8.8.8'])
    t.is(addressRefusal(address, false), undefined, address);
});

test('sites are hosts, ports and schemes as they are written, and nothing near them', (t) => {
  const sites = parseSites('models.example.com, *.example.org,http://mirror:8080,safe.example:443');
  const cases: [string, boolean][] = [
    ['https://models.example.com/a', true],
    ['https://MODELS.example.com./a', true],
    ['http://models.example.com/a', false],
    ['https://models.example.com:8443/a', false],
    ['https://x.models.example.com/', false],
    ['https://models.example.com.evil.org/', false],
    ['https://models.example.com@evil.org/', false],
    ['https://a.example.org/', true],
    ['https://example.org/', false],
    ['https://evilexample.org/', false],
    ['http://mirror:8080/', true],
    ['https://mirror:8080/', false],
    ['https://safe.example/', true],
  ];
  for (const [url, allowed] of cases) t.is(isOnSite(new URL(url), sites), allowed, url);
  t.true(isOnSite(new URL('https://any.where/'), parseSites('*')));
  t.false(isOnSite(new URL('http://any.where/'), parseSites('*')));
  t.deepEqual(parseSites(''), []);
  for (const bad of ['https://', 'a b', 'ftp://x', 'x/y', 'x:y', '*.*.x'])
    t.throws(() => parseSites(bad), { message: /no site/ });
});

/** Answers by path. */
const answer: RequestListener = ({ url = '', headers }, response) => {
  const { host } = headers;
  const redirect = (location: string): void => void response.writeHead(302, { location }).end();
  switch (url) {
    case '/model':
      response.end(CONTENT);
      break;
    case '/there':
      redirect('/model');
      break;
    case '/elsewhere':
      redirect('https://elsewhere.example/');
      break;
    case '/down':
      redirect(`http://${host}/model`);
      break;
    case '/loop':
      redirect('/loop');
      break;
    case '/nonsense':
      redirect('https://[');
      break;
    case '/announced':
      response.writeHead(200, { 'content-length': 1e12 }).write('x');
      break;
    case '/endless': {
      const more = (): void => void (response.destroyed || response.write(Buffer.alloc(65536), more));
      more();
      break;
    }
    case '/silent':
      break;
    case '/short':
      response.writeHead(200, { 'content-length': CONTENT.length + 1 }).write(CONTENT, () => response.destroy());
      break;
    default:
      response.writeHead(Number(url.slice(1))).end('no');
  }
};

let secure: Server;
let plain: Server;
let policy: FetchPolicy;
/** Hosts that were asked for. */
const asked: string[] = [];

test.before(async () => {
  const { certificate, key, authority } = await issueCertificate(['models.example'], new Date(), random);
  secure = createServer({ cert: certificate, key }, answer);
  plain = createPlainServer(answer);
  await Promise.all(
    [secure, plain].map((server) => new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))),
  );
  policy = {
    urlRefusal: ({ protocol, hostname }) =>
      protocol === 'https:' && hostname !== 'elsewhere.example' ? undefined : 'it is not on the list',
    // The one address of the tests' own server.
    addressRefusal: (address) => (address === '127.0.0.1' ? undefined : addressRefusal(address, false)),
    resolve: (host) => {
      asked.push(host);
      return Promise.resolve(ADDRESSES[host] ?? ['127.0.0.1']);
    },
    authorities: authority,
    maxBytes: 1e6,
    timeoutMs: 10_000,
  };
});

test.after.always(() => {
  for (const server of [secure, plain]) {
    server?.closeAllConnections();
    server?.close();
  }
});

const ADDRESSES: Readonly<Record<string, readonly string[]>> = {
  'inside.example': ['10.0.0.1'],
  'half.example': ['127.0.0.1', '169.254.169.254'],
  'nowhere.example': [],
  '::1': ['::1'],
  '127.0.0.2': ['127.0.0.2'],
};

function portOf(server: Server): number {
  const { port = 0 }: Partial<AddressInfo> = Object(server.address());
  return port;
}

const urlOf = (path: string, host = 'models.example'): string => `https://${host}:${portOf(secure)}${path}`;

test('a file is fetched from the admitted address, by its name, also by a redirect', async (t) => {
  for (const path of ['/model', '/there']) t.deepEqual(await fetchVerified(urlOf(path), SHA256, policy), CONTENT);
  t.true(asked.includes('models.example'));
});

const FAILURES: readonly [string, string, string, RegExp, boolean][] = [
  ['another digest', 'models.example', '/model', /has sha256 [0-9a-f]{64}; expected 0000/, false],
  ['a private address', 'inside.example', '/model', /inside\.example is at 10\.0\.0\.1, which is private/, false],
  ['one bad address among good ones', 'half.example', '/model', /169\.254\.169\.254, which is link-local/, false],
  ['an address written as host', '[::1]', '/model', /is at ::1, which is private/, false],
  ['a number that is an address', '2130706434', '/model', /is at 127\.0\.0\.2, which is private/, false],
  ['a host without address', 'nowhere.example', '/model', /has no address/, true],
  ['a name that is not on the certificate', 'other.example', '/model', /altnames/, true],
  [
    'a redirect off the list',
    'models.example',
    '/elsewhere',
    /elsewhere\.example\/ may not.*leads there.*not on the list/,
    false,
  ],
  ['a redirect to plain HTTP', 'models.example', '/down', /http:.*may not be fetched/, false],
  ['a redirect in a circle', 'models.example', '/loop', /leads on more than 5 times/, false],
  ['a redirect to nonsense', 'models.example', '/nonsense', /which is no URL/, false],
  [
    'a length beyond the limit, before a byte is read',
    'models.example',
    '/announced',
    /has 1000000000000 bytes or more/,
    false,
  ],
  ['a body beyond the limit', 'models.example', '/endless', /bytes or more; expected at most 1000000/, false],
  ['a body that ends early', 'models.example', '/short', /could not be fetched: aborted/, true],
  ['404', 'models.example', '/404', /answered 404; expected 200/, false],
  ['503', 'models.example', '/503', /answered 503/, true],
];

for (const [what, host, path, message, passing] of FAILURES) {
  test(`${what} is told in a sentence, and is ${passing ? 'tried again' : 'final'}`, async (t) => {
    const error = await t.throwsAsync(fetchVerified(urlOf(path, host), '0'.repeat(64), policy), {
      instanceOf: FetchError,
    });
    t.regex(error?.message ?? '', message);
    t.is(error instanceof FetchError && error.passing, passing);
  });
}

test('a server that does not answer, a name service that does not, and one that is not there are tried again', async (t) => {
  const hurried = { ...policy, timeoutMs: 200 };
  await t.throwsAsync(fetchVerified(urlOf('/silent'), SHA256, hurried), { message: /did not come within 0\.2 s/ });
  const mute = { ...hurried, resolve: () => new Promise<never>(() => undefined) };
  await t.throwsAsync(fetchVerified(urlOf('/model'), SHA256, mute), { message: /did not come within 0\.2 s/ });
  const error = await t.throwsAsync(fetchVerified('https://models.example:1/', SHA256, policy), {
    message: /ECONNREFUSED/,
  });
  t.true(error instanceof FetchError && error.passing);
});

test('plain HTTP works where the policy admits it', async (t) => {
  const url = `http://models.example:${portOf(plain)}/model`;
  await t.throwsAsync(fetchVerified(url, SHA256, policy), { message: /not on the list/ });
  t.deepEqual(await fetchVerified(url, SHA256, { ...policy, urlRefusal: () => undefined }), CONTENT);
});

test('a connection goes to the address that was admitted, whatever the name means a moment later', async (t) => {
  let answers = 0;
  const rebinding = {
    ...policy,
    resolve: () => Promise.resolve(answers++ === 0 ? ['127.0.0.1'] : ['169.254.169.254']),
  };
  t.deepEqual(await fetchVerified(urlOf('/model'), SHA256, rebinding), CONTENT);
  t.is(answers, 1);
});
