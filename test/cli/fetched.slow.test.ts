import { createHash } from 'node:crypto';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { execFile } from 'node:child_process';
import process from 'node:process';
import test from 'ava';
import { parse, stringify } from 'yaml';

const MAIN = new URL('../../cli/main.ts', import.meta.url).pathname;
const GOLDEN = new URL('../golden/mlp', import.meta.url).pathname;

test('the same job file runs here: its model is fetched, planned, trained over TLS, and known from its plan', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'soapstone-fetched-'));
  t.teardown(() => rm(directory, { recursive: true }));
  await cp(GOLDEN, directory, { recursive: true });
  const content = await readFile(join(directory, 'model.onnx'));
  await rm(join(directory, 'model.onnx'));
  const server = createServer((_, response) => void response.end(content));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => server.close());
  const { port = 0 }: Partial<AddressInfo> = Object(server.address());
  const sha256 = createHash('sha256').update(content).digest('hex');
  const [job, plan] = [join(directory, 'job.yaml'), join(directory, 'plan.json')];
  const written: { spec: object } = parse(await readFile(job, 'utf8'));
  const model = { url: `http://127.0.0.1:${port}/mlp.onnx`, sha256 };
  await writeFile(job, stringify({ ...written, spec: { ...written.spec, model, tls: true } }));
  const soapstone = async (...args: string[]): Promise<Record<string, unknown>> => {
    const env = { ...process.env, SOAPSTONE_CACHE: join(directory, 'cache') };
    const { stdout } = await promisify(execFile)(process.execPath, [MAIN, ...args, '--output', 'json'], { env });
    const result: Record<string, unknown> = JSON.parse(stdout);
    return result;
  };
  const run = await soapstone('run', job, '--devices', '2', '--strategy', 'data', '--steps', '3');
  t.true(Array.isArray(run['losses']) && run['losses'].length === 3);
  await soapstone('plan', job, '--cluster', 'p100x2', '--proposals', '10', '--save', plan);
  t.like(JSON.parse(await readFile(plan, 'utf8')).model.source, { sha256 });
  t.is(typeof (await soapstone('simulate', plan))['iterationMs'], 'number');
});
