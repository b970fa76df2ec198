import type { ServerResponse } from 'node:http';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { CoreV1Api, CustomObjectsApi, KubeConfig } from '@kubernetes/client-node';
import type { ExecutionContext } from 'ava';
import test from 'ava';
import { followLog } from '../../cli/kubectl/follow-log.ts';

const LINES = ['2026-11-28T12:00:00Z one', '2026-11-28T12:00:00.5Z two', '2026-11-28T12:00:01.25Z three'] as const;

/** An API server that has one pod: its phases, the last of which stays, and answers to who reads its log. */
async function podServer(
  t: ExecutionContext,
  phases: readonly string[],
  answers: readonly ((response: ServerResponse) => void)[],
) {
  const asked: URLSearchParams[] = [];
  let phase = 0;
  const server = createServer((request, response) => {
    const { pathname, searchParams } = new URL(request.url ?? '', 'http://server');
    if (pathname === '/api/v1/namespaces/default/pods/worker') {
      const status = { phase: phases[Math.min(phase++, phases.length - 1)] };
      response.setHeader('content-type', 'application/json').end(JSON.stringify({ kind: 'Pod', status }));
    } else {
      t.is(pathname, '/api/v1/namespaces/default/pods/worker/log');
      answers[asked.push(searchParams) - 1]!(response);
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => server.close());
  const { port }: AddressInfo = JSON.parse(JSON.stringify(server.address()));
  const config = new KubeConfig();
  config.loadFromClusterAndUser(
    { name: 'test', server: `http://127.0.0.1:${port}`, skipTLSVerify: true },
    { name: 'nobody' },
  );
  const [core, custom] = [config.makeApiClient(CoreV1Api), config.makeApiClient(CustomObjectsApi)];
  const [printed, notes]: string[][] = [[], []];
  const follow = (): Promise<void> =>
    followLog({ config, core, custom, namespace: 'default' }, 'worker', {
      tailLines: 2,
      container: 'worker',
      print: ({ text }) => printed!.push(text),
      note: (sentence) => notes!.push(sentence),
    });
  return { asked, printed: printed!, notes: notes!, follow };
}

test('a log that breaks off is read on from its last whole line, and nothing is shown twice', async (t) => {
  const [one, two, three] = LINES;
  const { asked, printed, notes, follow } = await podServer(
    t,
    ['Pending', 'Running', 'Running', 'Succeeded'],
    [
      (response) => {
        response.write(`${one}\n${two}\n${three.slice(0, 24)}`, () => response.destroy());
      },
      (response) => response.end(`${one}\n${two}\n${three}\n`),
      (response) => response.end(`${three}\n`),
    ],
  );
  await follow();
  t.deepEqual(printed, ['one', 'two', 'three']);
  t.is(notes.length, 1);
  t.regex(notes[0]!, /the log of pod worker broke off .*; trying again/);
  t.deepEqual(
    asked.map((query) => [query.get('tailLines'), query.get('sinceTime')]),
    [
      ['2', null],
      [null, '2026-11-28T12:00:00.5Z'],
      [null, '2026-11-28T12:00:01.25Z'],
    ],
  );
});

test('whoever may not read a log is told at once', async (t) => {
  const refuse = (response: ServerResponse): void => void response.writeHead(403).end();
  const { follow } = await podServer(t, ['Running'], [refuse]);
  await t.throwsAsync(follow(), { message: /reading the log of pod default\/worker: the API server answered 403/ });
});
