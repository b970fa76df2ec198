import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import test from 'ava';
import { loadModel } from '../../runtime/model/load-model.ts';
import { parseTrainingJob } from '../../soap/job/parse.ts';
import { LENET_SPEC } from '../support/kubernetes.ts';

const MODEL = new URL('../golden/cnn/model.onnx', import.meta.url);

test('a model is fetched once and kept; what is kept and damaged is fetched again; another file is refused', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'soapstone-cache-'));
  process.env['SOAPSTONE_CACHE'] = join(folder, 'models');
  const content = await readFile(MODEL);
  const sha256 = createHash('sha256').update(content).digest('hex');
  let requests = 0;
  const server = createServer((_, response) => {
    requests++;
    response.end(content);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port = 0 }: Partial<AddressInfo> = Object(server.address());
  const load = (digest: string): ReturnType<typeof loadModel> => {
    const parsed = parseTrainingJob({
      apiVersion: 'soapstone.dev/v1alpha1',
      kind: 'TrainingJob',
      metadata: { name: 'job' },
      spec: { ...LENET_SPEC, model: { url: `http://127.0.0.1:${port}/cnn.onnx`, sha256: digest } },
    });
    if ('problems' in parsed) throw new Error(JSON.stringify(parsed.problems));
    return loadModel(parsed.job, folder);
  };
  try {
    const first = await load(sha256);
    const second = await load(sha256);
    t.deepEqual(second.training.graph, first.training.graph);
    t.is(requests, 1);
    t.deepEqual(await readdir(join(folder, 'models')), [`${sha256}.onnx`]);

    await writeFile(join(folder, 'models', `${sha256}.onnx`), 'damaged');
    await load(sha256);
    t.is(requests, 2);
    // In its place, so that it cannot be kept, as where the disk is full.
    await rm(join(folder, 'models', `${sha256}.onnx`));
    await mkdir(join(folder, 'models', `${sha256}.onnx`, 'x'), { recursive: true });
    await t.throwsAsync(load(sha256), { message: /^cannot write '.*\.onnx': .*; see that the volume is .*not full$/ });
    t.deepEqual(await readdir(join(folder, 'models')), [`${sha256}.onnx`], 'nothing is left in part');
    await t.throwsAsync(load('0'.repeat(64)), { message: /cnn\.onnx has sha256 .*; expected 0{64}/ });
  } finally {
    server.close();
    await rm(folder, { recursive: true });
  }
});
